"""The encoder pools as documented in any batch, for any text and many kinds of model."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hierrec.core.errors import ModelError
from hierrec.core.params import Precision
from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.params import Pooling
from hierrec.search.vectors import unit_vectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import TEXTS, ModelFolder

KINDS = ["t5", "t5-full", "bert", "bart", "gpt2"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
AWKWARD = ["", " ", "a", "word " * 10_000, "🎬🎥", "七人の侍", "\x00\n\t", "é" * 300, "Heat"]


@pytest.fixture(scope="module")
def encoder(model_folder: ModelFolder) -> ItemEncoder:
    return item_encoder(model_folder("t5"), 32)


@pytest.mark.parametrize("pooling", get_args(Pooling))
@pytest.mark.parametrize("kind", KINDS)
def test_pools_what_transformers_gives(kind: str, pooling: Pooling, model_folder: ModelFolder) -> None:
    encoder = item_encoder(model_folder(kind), 16, pooling=pooling)
    texts = [TEXTS[0][:end] for end in range(1, len(TEXTS[0]))]  # of every length
    vectors = encoder.encode(texts, 64)
    for text, vector in zip(texts, vectors, strict=True):
        tokens = encoder._tokenizer(text, truncation=True, max_length=16, return_tensors="pt")
        with torch.no_grad():
            hidden = encoder.model(input_ids=tokens["input_ids"]).last_hidden_state[0]  # alone, not padded
        pooled = hidden.mean(0) if pooling == "mean" else hidden[-1]
        np.testing.assert_allclose(vector, pooled.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_in_any_kind_of_model(kind: str, model_folder: ModelFolder) -> None:
    encoder = item_encoder(model_folder(kind), 32)
    texts = AWKWARD + TEXTS
    vectors = encoder.encode(texts, 128)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), 16)
    assert np.isfinite(vectors).all()
    alone = np.concatenate([encoder.encode([text], 128) for text in texts])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    assert len(np.unique(vectors[-len(TEXTS) :].round(4), axis=0)) == len(TEXTS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), budget=st.integers(1, 200))
def test_the_batch_does_not_matter(encoder: ItemEncoder, texts: list[str], budget: int) -> None:
    vectors = encoder.encode(texts, budget)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors, encoder.encode(texts[::-1], 10_000)[::-1], atol=1e-5)


@pytest.mark.parametrize(
    ("budget", "precision"), [(1024, "float32"), (999, "float32"), (130, "float32"), (999, "bfloat16")]
)
def test_what_else_is_encoded_changes_no_bit(budget: int, precision: Precision) -> None:
    # Wide enough for sums whose order depends on the shape.
    encoder = item_encoder("t5-nano", 64, precision=precision)
    texts = [f"{text} {number}" for number in range(40) for text in TEXTS]
    vectors = encoder.encode(texts, budget)
    shuffled = np.random.default_rng(0).permutation(len(texts))
    assert np.array_equal(encoder.encode([texts[place] for place in shuffled], budget), vectors[shuffled])
    for some in (slice(0, 1), slice(7, 12), slice(0, 37)):
        assert np.array_equal(encoder.encode(texts[some], budget), vectors[some])


@pytest.mark.parametrize("kind", ["t5-nano", *KINDS])
def test_bfloat16_moves_vectors_by_rounding_and_the_manifest_says_so(kind: str, model_folder: ModelFolder) -> None:
    model = kind if kind == "t5-nano" else str(model_folder(kind))
    exact, rounded = (item_encoder(model, 32, precision=precision) for precision in PRECISIONS)
    expected, vectors = (encoder.encode(AWKWARD + TEXTS, 128) for encoder in (exact, rounded))
    assert vectors.dtype == np.float32
    assert not np.array_equal(vectors, expected)
    cosines = (unit_vectors(vectors) * unit_vectors(expected)).sum(1)
    assert cosines.min() > 1 - 1e-3
    assert [encoder.description["dtype"] for encoder in (exact, rounded)] == list(PRECISIONS)


def test_texts_in_blocks_have_the_vectors_of_the_whole(encoder: ItemEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder.encode(AWKWARD, 100)
    monkeypatch.setattr("hierrec.encode.encoder.BLOCK", 5)
    assert np.array_equal(encoder.encode(AWKWARD, 100), whole)


def watch_shapes(encoder: ItemEncoder, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    shapes: list[tuple[int, int]] = []
    vectors = encoder.batcher.vectors

    def watch(tokens: list[list[int]], shape: tuple[int, int]) -> Tensor:
        shapes.append(shape)
        return vectors(tokens, shape)

    monkeypatch.setattr(encoder.batcher, "vectors", watch)
    return shapes


def test_t5_computes_one_shape_and_longer_texts_alone(encoder: ItemEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = watch_shapes(encoder, monkeypatch)
    encoder.encode(TEXTS * 20, 100)
    encoder.encode(TEXTS[:1], 100)
    assert set(shapes) == {(1, 100)}
    shapes.clear()
    encoder.encode(["word " * 100, "Heat"], 5)
    assert shapes[0] == (1, 32)


def test_batches_keep_to_the_budget(model_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = item_encoder(model_folder("bert"), 32)
    shapes = watch_shapes(encoder, monkeypatch)
    places = np.concatenate([places for places, _ in encoder.batches(TEXTS * 20, 100)])
    assert sorted(places) == list(range(len(TEXTS) * 20))
    assert all(rows * length <= 100 for rows, length in shapes)
    assert [length for _, length in shapes] == sorted((length for _, length in shapes), reverse=True)
    assert max(rows for rows, _ in shapes) > 10  # short texts share a batch
    seen = set(shapes)
    encoder.encode(TEXTS, 100)
    assert set(shapes) == seen  # however few texts there are of a length
    shapes.clear()
    encoder.encode(["word " * 100], 5)
    assert shapes == [(1, 32)]


def test_only_so_many_tokens_are_read(encoder: ItemEncoder) -> None:
    start = "Heat and " * 50
    vectors = encoder.encode([start + "Alien", start + "Toy Story"], 100)
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_half_precision_weights_compute_in_float32(copy: Path) -> None:
    from transformers import T5EncoderModel

    T5EncoderModel.from_pretrained(copy).half().save_pretrained(copy)
    assert next(iter(load_file(copy / "model.safetensors").values())).dtype == torch.float16
    encoder = item_encoder(copy, 32)
    vectors = encoder.encode(TEXTS, 100)
    assert vectors.dtype == np.float32
    assert not np.array_equal(vectors, vectors.astype(np.float16))
    assert encoder.model.dtype == torch.float32


def test_fingerprint_covers_weights_tokenizer_config_and_settings(copy: Path) -> None:
    def fingerprint(max_length: int = 32, pooling: Pooling = "mean", precision: Precision = "float32") -> str:
        return item_encoder(copy, max_length, pooling=pooling, precision=precision).fingerprint

    seen = [fingerprint(), fingerprint(33), fingerprint(pooling="last"), fingerprint(precision="bfloat16")]
    weights = load_file(copy / "model.safetensors")
    weights["shared.weight"][5, 5] += 1
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    seen.append(fingerprint())
    (copy / "bpe.codes").write_text("a b 1")
    seen.append(fingerprint())
    for name in ("tokenizer.json", "config.json"):
        (copy / name).write_text((copy / name).read_text() + " ")
        seen.append(fingerprint())
    assert len(set(seen)) == len(seen)
    assert fingerprint() == seen[-1]


def test_the_cache_key_covers_what_else_decides_the_last_bits(
    encoder: ItemEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(batch_tokens: int = 100, device: str = "cpu") -> str:
        return item_encoder(encoder.files.folder, 32, device=device).cache_key(batch_tokens)

    seen = [key(), key(101), key(device="cuda")]
    monkeypatch.setattr("hierrec.encode.encoder.ARITHMETIC", 0)
    seen.append(key())
    for changed in ("torch", "transformers", "tokenizers"):
        other = {changed: "0"}
        monkeypatch.setattr(
            "hierrec.encode.encoder.version", lambda name, other=other: other.get(name) or version(name)
        )
        seen.append(key())
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    seen.append(key())
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        seen.append(key())
    finally:
        torch.set_num_threads(threads)
    assert len(set(seen)) == len(seen)


def test_the_fingerprint_does_not_know_the_folder(model_folder: ModelFolder, copy: Path) -> None:
    here, there = (item_encoder(folder, 32) for folder in (model_folder("t5"), copy))
    assert here.fingerprint == there.fingerprint
    assert str(copy.parent) not in json.dumps(there.description)
    assert there.description["model"]["id"] == "copy"


def test_the_fingerprint_needs_no_torch(model_folder: ModelFolder) -> None:
    script = (
        "import sys; from tests.encode.encoders import item_encoder\n"
        f"item_encoder({str(model_folder('t5'))!r}, 32).cache_key(100)\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_weights_that_are_missing_are_not_drawn_at_random(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["encoder.final_layer_norm.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack encoder\.final_layer_norm\.weight"):
        item_encoder(copy, 32).encode(TEXTS, 100)


def test_damaged_files(copy: Path) -> None:
    for name, message in [
        ("model.safetensors", "model cannot be loaded"),
        ("tokenizer.json", "tokenizer cannot be loaded"),
    ]:
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:100])
        with pytest.raises(ModelError, match=f"model copy: the {message}"):
            item_encoder(copy, 32).encode(TEXTS, 100)
        (copy / name).write_bytes(content)


def test_a_tokenizer_of_another_model(copy: Path) -> None:
    from transformers import T5Config, T5EncoderModel

    small = T5Config(vocab_size=10, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(small).save_pretrained(copy)
    with pytest.raises(ModelError, match="do not belong together"):
        item_encoder(copy, 32).encode(TEXTS, 100)


@pytest.mark.parametrize(("kind", "most"), [("bert", 64), ("roberta", 63)])
def test_more_tokens_than_the_model_has_positions(model_folder: ModelFolder, kind: str, most: int) -> None:
    item_encoder(model_folder(kind), most).encode(["word " * 99], 100)
    with pytest.raises(ModelError, match=rf"at most {most} tokens, not {most + 1}(.|\n)*max_length to {most}"):
        item_encoder(model_folder(kind), most + 1).encode(TEXTS, 100)


def test_a_model_without_a_limit_reads_more_than_its_tokenizer_says(copy: Path) -> None:
    assert item_encoder("t5-nano", 300).encode(["word " * 299], 400).shape == (1, 256)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "max_position_embeddings": -1}))  # as XLNet's
    assert item_encoder(copy, 300).encode(["word " * 299], 400).shape == (1, 16)


def test_a_padding_token_that_only_the_tokenizer_knows(model_folder: ModelFolder, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = Path(shutil.copytree(model_folder("gpt2"), tmp_path / "padded"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<{number}>" for number in range(200)]})
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    expected = item_encoder(model_folder("gpt2"), 32).encode(TEXTS, 100)
    np.testing.assert_array_equal(item_encoder(folder, 32).encode(TEXTS, 100), expected)


def test_a_model_that_reads_no_text(copy: Path) -> None:
    from transformers import ViTConfig, ViTModel

    vit = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
    )
    ViTModel(vit).save_pretrained(copy)
    with pytest.raises(ModelError):
        item_encoder(copy, 32).encode(TEXTS, 100)
