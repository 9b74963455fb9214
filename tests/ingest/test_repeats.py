"""Repeated interactions of a user with an item: kept, left out or refused, and always counted."""

from pathlib import Path

import pytest
from hierrec.core.errors import DataError
from hierrec.core.sequences import Sequences
from hierrec.ingest import event_order
from hierrec.ingest.dataset import Dataset, build
from hierrec.ingest.look import look
from hierrec.ingest.own_files import read_files

# ann takes cup, pot, cup (a row of the same time twice), mug; bob takes nothing twice.
ROWS = [
    "ann,cup,1",
    "ann,pot,2",
    "ann,cup,3",
    "ann,cup,3",
    "ann,mug,4",
    "bob,cup,1",
    "bob,pot,2",
    "bob,mug,3",
]


def dataset(folder: Path, repeats: str, rows: list[str] = ROWS) -> Dataset:
    path = folder / "log.csv"
    path.write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    return build(read_files([path], None), repeats=repeats)  # type: ignore[arg-type]


def histories(found: Dataset) -> list[list[str]]:
    names = found.items["item_id"].to_list()
    interactions = found.interactions
    return [[names[item] for item in interactions.filter(user=user)["item"]] for user in range(len(found.users))]


@pytest.mark.parametrize(
    ("repeats", "ann", "removed"),
    [
        ("keep", ["cup", "pot", "cup", "mug"], 1),
        ("first", ["cup", "pot", "mug"], 2),
        ("last", ["pot", "cup", "mug"], 2),
    ],
)
def test_which_of_them_count(tmp_path: Path, repeats: str, ann: list[str], removed: int) -> None:
    found = dataset(tmp_path, repeats)
    assert histories(found) == [ann, ["cup", "pot", "mug"]]
    assert removed == found.more_counts["removed_repeats"]
    assert any(line == f"{removed} rows left out by ingest.repeats" for line in look(found))
    assert found.counts["interactions"] == len(ROWS) - removed


def test_the_split_says_that_items_repeat(tmp_path: Path) -> None:
    found = dataset(tmp_path, "keep")
    assert found.split["repeated"].to_list() == [True, False]
    assert found.more_counts["users_with_repeats"] == 1
    assert Sequences.from_tables([found.interactions], found.split).repeated
    for repeats in ("first", "last"):
        found = dataset(tmp_path, repeats)
        assert "repeated" not in found.split.columns
        assert not Sequences.from_tables([found.interactions], found.split).repeated


def test_without_repeats_the_tables_are_the_same_whatever_the_param(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row.startswith("bob")]
    tables = [dataset(tmp_path, repeats, rows) for repeats in ("keep", "first", "last", "refuse")]
    for other in tables[1:]:
        assert other.split.equals(tables[0].split)
        assert other.interactions.equals(tables[0].interactions)
        assert not other.more_counts


def test_they_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: user 'ann', item 'cup' is there already, on row 1 \(and 1 more"):
        dataset(tmp_path, "refuse")


def test_the_first_bucket_with_repeats_names_its_first_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_order, "BUCKET", 1)  # a user each
    with pytest.raises(DataError, match=r"row 5: user 'ann', item 'cup' is there already, on row 3 \(and 1 more"):
        dataset(tmp_path, "refuse", ["bob,cup,1", "bob,cup,2", *ROWS])
