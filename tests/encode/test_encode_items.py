"""Items to a store in one call, as the stage and the command do."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.core.errors import ParamsError
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams
from hierrec.reuse.diagnosis import diagnose
from hierrec.store.store import EmbeddingStore

from tests.encode.tiny_models import ModelFolder

ITEMS = pl.DataFrame({"item_id": ["a", "b", "c", "d"], "name": ["Heat", "M", "Alien", "Heat"], "row": 9})


@pytest.fixture
def params(model_folder: ModelFolder) -> EncodeParams:
    return EncodeParams(
        model=str(model_folder("t5")),
        revision=None,
        template="{name}.",
        max_length=16,
        batch_tokens=64,
        whitening_dimension=None,
    )


def test_a_store_comes_out(params: EncodeParams, tmp_path: Path) -> None:
    summary = encode_items(ITEMS, params, tmp_path / "store")
    assert summary == [
        f"encode: 4 items by {params.model}; 3 texts encoded, the rest from the cache",
        "4 of 4 items have a text",
        "vectors of width 16, centred only",
        f"written to {tmp_path / 'store'}/",
    ]
    store = EmbeddingStore.open(tmp_path / "store")
    assert diagnose(store.folder) == []
    assert store.items["title"].to_list() == store.item_ids == ["a", "b", "c", "d"]
    assert store.items["text"].to_list() == ["Heat.", "M.", "Alien.", "Heat."]
    assert np.array_equal(store.vector("a"), store.vector("d"))
    assert np.allclose(store.whitened().mean(0), 0, atol=1e-6)


def test_the_summary_says_if_no_item_has_a_text(params: EncodeParams, tmp_path: Path) -> None:
    untitled = ITEMS.drop("row").with_columns(title=pl.lit(None, pl.String))
    summary = encode_items(untitled, params.model_copy(update={"template": "{title}."}), tmp_path / "store")
    said = "0 of 4 items have a text: their vectors are equal; the template does not use name"
    assert summary[1] == said


def test_texts_that_were_encoded_come_from_the_cache(params: EncodeParams, tmp_path: Path) -> None:
    encode_items(ITEMS, params, tmp_path / "first")
    more = pl.concat([ITEMS.reverse(), ITEMS.head(1).with_columns(item_id=pl.lit("e"), name=pl.lit("New"))])
    summary = encode_items(more, params, tmp_path / "second")
    assert summary[0].startswith("encode: 5 items")
    assert "1 texts encoded" in summary[0]
    first, second = (EmbeddingStore.open(tmp_path / name) for name in ("first", "second"))
    assert np.array_equal(first.vectors, second.vectors_of(first.item_ids))
    other_sums = params.model_copy(update={"batch_tokens": 65})
    assert "4 texts encoded" in encode_items(more, other_sums, tmp_path / "third")[0]


def test_a_failure_leaves_the_old_store(params: EncodeParams, tmp_path: Path) -> None:
    encode_items(ITEMS, params, tmp_path / "store")
    with pytest.raises(ParamsError):
        encode_items(ITEMS, params.model_copy(update={"template": "{plot}"}), tmp_path / "store")
    assert diagnose(tmp_path / "store") == []
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_few_items_have_fewer_directions_and_the_summary_says_so(params: EncodeParams, tmp_path: Path) -> None:
    summary = encode_items(ITEMS, params.model_copy(update={"whitening_dimension": 50}), tmp_path / "store")
    assert summary[2].endswith("whitened to 2, not 16, which are too many for so few texts")
    assert diagnose(tmp_path / "store") == []
    assert EmbeddingStore.open(tmp_path / "store").whitened().shape == (4, 2)


def test_fields_are_whitened_apart_and_stand_side_by_side(params: EncodeParams, tmp_path: Path) -> None:
    def store(name: str, template: str | list[str], dimension: int | list[int | None]) -> EmbeddingStore:
        checked = {
            **params.model_dump(),
            "batch_tokens": 32,
            "template": template,
            "whitening_dimension": dimension,
        }
        encode_items(items, EncodeParams.model_validate(checked), tmp_path / name)
        assert diagnose(tmp_path / name) == []
        return EmbeddingStore.open(tmp_path / name)

    items = ITEMS.with_columns(kind=pl.Series(["Drama", "Crime", "Horror", None]))
    both = store("both", ["{name}.", "{kind}"], [2, 1])
    apart = [store("name", "{name}.", 2), store("kind", "{kind}", 1)]
    assert both.items["text"].to_list() == ["Heat.\nDrama", "M.\nCrime", "Alien.\nHorror", "Heat.\n"]
    assert both.manifest["template"] == ["{name}.", "{kind}"]
    for read in (EmbeddingStore.whitened, lambda store: store.vectors[:]):
        np.testing.assert_array_equal(read(both), np.concatenate([read(part) for part in apart], 1))
    assert (both.whitened()[3, 2:] == 0).all()
    alone = store("alone", ["{name}."], [2])
    assert alone.hash == apart[0].hash


@pytest.mark.parametrize("dimension", [None, 2])
def test_an_item_without_text_is_similar_to_none_and_moves_no_other(
    params: EncodeParams, tmp_path: Path, dimension: int | None
) -> None:
    def store(items: pl.DataFrame) -> EmbeddingStore:
        encode_items(items, params.model_copy(update={"whitening_dimension": dimension}), tmp_path / "store")
        assert diagnose(tmp_path / "store") == []
        return EmbeddingStore.open(tmp_path / "store")

    blank = ITEMS.head(2).with_columns(item_id=pl.Series(["y", "z"]), name=pl.lit(None, pl.String))
    mixed, described = store(pl.concat([ITEMS, blank])), store(ITEMS)
    assert (mixed.vectors[4:] == mixed.whitening.mean).all()
    assert (mixed.whitened()[4:] == 0).all()
    np.testing.assert_array_equal(mixed.whitened()[:4], described.whitened())
    assert (store(blank).whitened() == 0).all()
