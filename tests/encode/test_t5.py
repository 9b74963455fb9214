"""T5 without padding equals transformers' forward pass, and no text reads another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from hierrec.encode.batches import T5Batches
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

VOCABULARY = 50
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 5,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 3,
}


def config(**changed: Any) -> tf.T5Config:
    return tf.T5Config(**{**SIZES, **changed})


MODELS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: tf.T5EncoderModel(config()),
    "gated-gelu": lambda: tf.T5EncoderModel(config(feed_forward_proj="gated-gelu")),
    "untied": lambda: tf.T5ForConditionalGeneration(
        config(feed_forward_proj="gated-silu", tie_word_embeddings=False)
    ).get_encoder(),
    "near and few positions": lambda: tf.T5EncoderModel(
        config(relative_attention_num_buckets=6, relative_attention_max_distance=9)
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MODELS[request.param]().eval()


def texts_of(lengths: list[int]) -> list[list[int]]:
    draw = np.random.default_rng(len(lengths))
    return [draw.integers(1, VOCABULARY, length).tolist() for length in sorted(lengths, reverse=True)]


@torch.inference_mode()
def by_transformers(model: nn.Module, texts: list[list[int]]) -> Tensor:
    rows = nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True)  # [b, t]
    mask = (rows > 0).float()  # [b, t]
    hidden = model(input_ids=rows, attention_mask=mask).last_hidden_state  # [b, t, D]
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # [b, D]


def t5(model: nn.Module) -> T5Batches:
    batches = T5Batches.of(model)
    assert batches is not None
    return batches


def without_padding(model: nn.Module, texts: list[list[int]], slots: int) -> Tensor:
    return t5(model).vectors(texts, (1, slots)).detach()


@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12), left_over=st.integers(0, 50))
def test_vectors_are_those_of_transformers(model: nn.Module, lengths: list[int], left_over: int) -> None:
    texts = texts_of(lengths)
    vectors = without_padding(model, texts, sum(lengths) + left_over)
    torch.testing.assert_close(vectors, by_transformers(model, texts), rtol=0, atol=1e-6)


def test_no_text_reads_another_or_a_slot_that_is_left_over() -> None:
    model = MODELS["relu"]().eval()
    texts = texts_of([20, 16, 7, 7, 7, 3])
    texts[3][2] = 0  # also the token of unused slots
    clean = without_padding(model, texts, 64)
    with torch.no_grad():
        model.get_input_embeddings().weight[0] = torch.nan  # pyright: ignore[reportCallIssue]
    vectors = without_padding(model, texts, 64)
    others = torch.arange(len(texts)) != 3
    assert vectors[3].isnan().all()
    assert torch.equal(vectors[others], clean[others])


def test_other_models_are_left_to_transformers() -> None:
    decoder = tf.T5ForConditionalGeneration(config()).get_decoder()
    multilingual = tf.MT5EncoderModel(tf.MT5Config(**SIZES))
    position_bias_in_each_layer = tf.UMT5EncoderModel(tf.UMT5Config(**SIZES))
    no_layer = tf.T5EncoderModel(config(num_layers=0))
    for model in (decoder, multilingual, position_bias_in_each_layer, no_layer):
        assert T5Batches.of(model) is None


@given(lengths=st.lists(st.integers(1, 40), max_size=60), slots=st.integers(1, 100))
def test_batches_are_full_and_hold_each_text_once(lengths: list[int], slots: int) -> None:
    batches = list(t5(MODELS["relu"]()).plan(np.array(lengths, np.int64), slots))
    order = [place for places, _ in batches for place in places]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[place] for place in order] == sorted(lengths, reverse=True)
    sizes = [[lengths[place] for place in places] for places, _ in batches]
    for (_, (rows, room)), batch in zip(batches, sizes, strict=True):
        assert rows == 1
        assert sum(batch) <= room == max(slots, batch[0])
    for (_, (_, room)), batch, after in zip(batches, sizes, sizes[1:], strict=False):
        assert sum(batch) + after[0] > room
