"""Living memory of a store with fields: a new item has the vector that encoding everything gives."""

from pathlib import Path

import numpy as np
import polars as pl
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams
from hierrec.store.store import EmbeddingStore
from hierrec.update.update import _write_store

from tests.encode.tiny_models import ModelFolder


def test_a_new_item_has_a_vector_of_each_field(model_folder: ModelFolder, tmp_path: Path) -> None:
    items = pl.DataFrame({"row": [0, 1, 2], "item_id": ["a", "b", "c"], "kind": ["Drama", None, "Crime"]})
    items = items.with_columns(title=pl.Series(["Heat", "M", "Alien"]))
    templates = ["{title}.", "{kind}"]
    params = EncodeParams(
        model=str(model_folder("t5")),
        revision=None,
        template=templates,
        max_length=16,
        batch_tokens=48,
        whitening_dimension=[1, None],
    )
    encode_items(items.head(2), params, tmp_path / "base" / "item_embeddings")
    assert _write_store(tmp_path / "base", tmp_path / "grown", items, params) == 2
    encode_items(items, params, tmp_path / "whole")
    grown, whole = (EmbeddingStore.open(tmp_path / name) for name in ("grown/item_embeddings", "whole"))
    np.testing.assert_array_equal(grown.vectors[:], whole.vectors[:])
    assert grown.items.equals(whole.items)
    assert grown.manifest["template"] == templates
