"""The look at a data set: its figures by a plain count, and its warnings."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hierrec.ingest import event_order
from hierrec.ingest.dataset import build
from hierrec.ingest.event_log import INTERACTIONS, ITEMS, EventLog, RawDataset
from hierrec.ingest.look import look
from hierrec.ingest.own_files import read_files
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.own_tables import write_tables

Rows = list[tuple[str, str, int, int]]


def looked(rows: Rows, items: pl.DataFrame | None = None) -> list[str]:
    table = pl.DataFrame(rows, INTERACTIONS, orient="row")
    ids = table["item_id"].unique(maintain_order=True)
    listed = pl.DataFrame({"item_id": ids, "title": "A", "year": 1999, "genres": [[]] * len(ids)}, ITEMS)
    listed = listed if items is None else items
    return look(build(RawDataset("test", None, listed, EventLog.of(table, listed["item_id"]))))


def test_the_tables_by_hand(tmp_path: Path) -> None:
    write_tables(tmp_path)
    assert look(build(read_files(tmp_path / "interactions.csv", tmp_path / "items.csv"))) == [
        "files: 8 interactions of 3 users",
        "5 items listed, 4 of them candidates for ranking",
        "density 66.667%: 3 users x 4 items with interactions",
        "interactions of a user: 1 to 4, median 3",
        "items with text: 4 of 5 (80%), median length 18 characters",
        "users whose test target is decided by a tie in time: 1 of 2 (50%)",
        "times from 5 to 300",
    ]


@settings(deadline=None, max_examples=50)
@given(
    pairs=st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 3)),
        min_size=1,
        max_size=40,
        unique_by=lambda row: row[:2],
    ),
    bucket=st.integers(1, 9),
)
def test_ties_are_those_of_a_plain_count(pairs: list[tuple[int, int, int]], bucket: int) -> None:
    ties = targets = 0
    for user in {user for user, _, _ in pairs}:
        times = sorted(time for owner, _, time in pairs if owner == user)
        targets += len(times) >= 3
        ties += len(times) >= 3 and times[-1] == times[-2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_order, "BUCKET", bucket)
        lines = looked([(str(user), str(item), 3, time) for user, item, time in pairs])
    assert f"by a tie in time: {ties} of {targets} (" in lines[5]
    assert lines[6] == f"times from {min(pairs, key=lambda row: row[2])[2]} to {max(row[2] for row in pairs)}"


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_times_are_shown_as_dates_whatever_their_unit(unit: int) -> None:
    lines = looked([("1", "2", 3, 978_307_200 * unit), ("1", "3", 3, (978_307_200 + 86_400) * unit)])
    assert lines[6] == "times from 2001-01-01 00:00:00 to 2001-01-02 00:00:00"
    assert lines[7:] == ["warning: all times are midnight: within a day, interactions keep the order of the rows"]
    assert len(looked([("1", "2", 3, 978_307_200 * unit), ("1", "3", 3, 978_307_260 * unit)])) == 7


def test_ids_that_look_like_fractions() -> None:
    lines = looked([("17850.0", "2", 3, 1), ("17851.0", "3.0", 3, 2)])
    warning = "warning: ids of users look like fractions, such as 17850.0, which is another id than 17850"
    assert lines[7:] == [warning]
    assert len(looked([("17850.0", "2", 3, 1), ("a", "3.0", 3, 2)])) == 7
    mixed = looked([("17850.0", "2", 3, 1), ("17850", "3.0", 3, 2)])
    assert [line for line in mixed if "fractions" in line] == [warning]


def test_a_user_with_a_tenth_of_the_rows() -> None:
    rng = np.random.default_rng(1)
    many = [("0", str(item), 3, 1) for item in range(12)]
    others = [(str(user), str(item), 3, 1) for user in range(1, 25) for item in rng.permutation(50)[:4]]
    few = "warning: 25 users have a test target: metrics of so few depend on chance"
    assert looked(many + others)[7:] == [few, "warning: user 0 alone has 11% of the interactions"]
    assert looked(many[:8] + others)[7:] == [few]


@pytest.mark.parametrize(("users", "warned"), [(19, False), (20, True), (99, True), (100, False)])
def test_few_users_with_a_target(users: int, warned: bool) -> None:
    lines = looked([(str(user), str(item), 3, item) for user in range(users) for item in range(3)])
    assert any(f"{users} users have a test target" in line for line in lines) == warned
