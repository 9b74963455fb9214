"""Living memory of a store: a new item has the vector of a full encoding, with fields or a tuned LLM."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import ModelError
from hierrec.core.sequences import Sequences
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams
from hierrec.store.store import EmbeddingStore
from hierrec.tune.params import TuneParams
from hierrec.tune.tuner import tune
from hierrec.update.update import _write_store

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import TEXTS, ModelFolder

ITEMS = pl.DataFrame(
    {
        "row": [0, 1, 2],
        "item_id": ["a", "b", "c"],
        "title": ["Heat", "M", "Alien"],
        "kind": ["Drama", "War", "Crime"],
    }
)
TUNING = TuneParams(seed=1, epochs=2, learning_rate=1e-2, temperature=0.1, window=2, batch_items=4)


@pytest.fixture
def params(model_folder: ModelFolder) -> EncodeParams:
    return EncodeParams(
        model=str(model_folder("t5")),
        revision=None,
        template="{title}. {kind}",
        max_length=16,
        batch_tokens=48,
        whitening_dimension=1,
    )


def grow(params: EncodeParams, folder: Path) -> tuple[EmbeddingStore, int]:
    """Encode two items, then add the third; return the store and the number of texts that were encoded for it."""
    encode_items(ITEMS.head(2), params, folder / "base" / "item_embeddings")
    encoded = _write_store(folder / "base", folder / "grown", ITEMS, params)
    return EmbeddingStore.open(folder / "grown" / "item_embeddings"), encoded


def equals_whole(grown: EmbeddingStore, params: EncodeParams, folder: Path) -> None:
    encode_items(ITEMS, params, folder / "whole")
    whole = EmbeddingStore.open(folder / "whole")
    np.testing.assert_array_equal(grown.vectors[:], whole.vectors[:])
    assert grown.items.equals(whole.items)
    assert grown.manifest["template"] == params.template


def test_a_new_item_has_a_vector_of_each_field(params: EncodeParams, tmp_path: Path) -> None:
    of_fields = params.model_copy(update={"template": ["{title}.", "{kind}"], "whitening_dimension": [1, None]})
    grown, encoded = grow(of_fields, tmp_path)
    assert encoded == 2
    equals_whole(grown, of_fields, tmp_path)


def test_a_new_item_has_the_precision_of_the_store(params: EncodeParams, tmp_path: Path) -> None:
    half = params.model_copy(update={"precision": "bfloat16"})
    encode_items(ITEMS.head(2), half, tmp_path / "base" / "item_embeddings")
    _write_store(tmp_path / "base", tmp_path / "grown", ITEMS, params)  # params of another precision
    grown = EmbeddingStore.open(tmp_path / "grown" / "item_embeddings")
    assert grown.manifest["dtype"] == "bfloat16"
    equals_whole(grown, half, tmp_path)


def test_a_new_item_is_encoded_by_the_tuned_encoder_and_no_other(params: EncodeParams, tmp_path: Path) -> None:
    encoder = item_encoder(params.model, params.max_length)
    lengths = np.full(4, 3)
    taken = Sequences(
        items=np.tile([0, 1, 2, 3, 4], 4),
        offsets=np.arange(5) * 5,
        train_length=lengths,
        test_length=lengths + 1,
        validation=np.full(4, 3),
        test=np.full(4, 4),
    )
    tune(encoder, TEXTS, taken, TUNING, params.batch_tokens)
    (tmp_path / "encoder").mkdir()
    encoder.save(tmp_path / "encoder")
    tuned = params.tuned(tmp_path / "encoder")
    assert tuned.model == str(tmp_path / "encoder")
    grown, encoded = grow(tuned, tmp_path)
    assert encoded == 1
    equals_whole(grown, tuned, tmp_path)
    with pytest.raises(ModelError, match="not the item LLM of the store"):
        _write_store(tmp_path / "base", tmp_path / "refused", ITEMS, params)
    assert not (tmp_path / "refused" / "item_embeddings").exists()
