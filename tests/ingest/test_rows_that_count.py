"""Rows that are left out: by a condition, by their rating, by users and items with too few of them."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hierrec.core.errors import DataError, ParamsError
from hierrec.core.where import Where
from hierrec.ingest import event_log, own_files
from hierrec.ingest.dataset import build
from hierrec.ingest.event_log import INTERACTIONS, EventLog, RawDataset
from hierrec.ingest.own_files import check_columns, read_files
from hierrec.ingest.params import TableParams
from hierrec.ingest.row_filters import filtered
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from tests.ingest.own_tables import events

SHOP = (
    "InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID,Description\n"
    "1,cup,6,2010-12-01 08:26:00,17850.0,CUP\n"
    "1,fork,2,2010-12-01 08:26:00,17850.0,FORK\n"
    "C2,cup,-6,2010-12-02 09:00:00,17850.0,CUP\n"
    "3,cup,1,2010-12-03 10:00:00,,CUP\n"
    "4,cup,1.5,2010-12-04 10:00:00,13047.0,A cup  of &lsquo;clay&rsquo;\n"
    "4,knife,1,2010-12-05 10:00:00,13047.0,\n"
)


def shop(folder: Path, text: str = SHOP) -> Path:
    (folder / "shop.csv").write_text(text)
    return folder / "shop.csv"


def read(path: Path, items: Path | None = None, **params: Any) -> RawDataset:
    return read_files(path, items, TableParams.model_validate(params))


@pytest.mark.parametrize("block", [70, 2**22])
@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("Quantity > 0 AND CustomerID IS NOT NULL", [0, 1, 4, 5]),
        ("CustomerID IS NOT NULL AND InvoiceNo NOT LIKE 'C%'", [0, 1, 4, 5]),
        ("CustomerID = 13047", [4, 5]),
        ("CustomerID = '13047.0'", [4, 5]),
        ("Quantity = 1.5", [4]),
        ("CustomerID = '13047.0' AND Quantity > 1.25", [4]),
        ("CustomerID IN ('13047.0') AND Quantity BETWEEN 1.25 AND 1.75", [4]),
        ("CustomerID > 1 AND InvoiceDate >= '2010-12-04'", [4, 5]),
        ("StockCode IN ('fork', 'knife')", [1, 5]),
        ("CustomerID > 1 AND LEFT(StockCode, 2) = 'cu' AND Quantity > 0", [0, 4]),
    ],
)
def test_a_condition_over_the_own_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, kept: list[int], block: int
) -> None:
    monkeypatch.setattr(own_files, "_BLOCK", block)
    raw = read(shop(tmp_path), where=where)
    rows = [line.split(",") for line in SHOP.splitlines()[1:]]
    assert events(raw).select("user_id", "item_id").rows() == [(rows[row][4], rows[row][1]) for row in kept]
    assert raw.removed == {"removed_where": 6 - len(kept)}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("quantity > 0", "column 'quantity' is missing; there are 'InvoiceNo'"),
        ("StockCode > 0", r"key ingest\.where: cannot be computed \(cannot compare a number, true or false with"),
        ("StockCode > 0", r"; column 'StockCode' is text, such as 'cup'"),
        ("StockCode <> true", r"true or false with the text of column 'StockCode'\); .* such as 'cup'"),
        ("StockCode IS NOT FALSE", r"true or false with the text of column 'StockCode'\); .* such as 'cup'"),
        (
            "StockCode > 0.5",
            r"cannot compare a number, true or false with the text of column 'StockCode'\); .* such as 'cup'",
        ),
        (
            "StockCode BETWEEN 0.5 AND 1.5",
            r"cannot compare a number, true or false with the text of column 'StockCode'",
        ),
        (
            "Quantity = '1' OR Quantity > 1.5",
            r"cannot compare a number, true or false with the text of column 'Quantity'",
        ),
        ("Quantity + 1", r"is of type Float64, so no condition"),
        ("Quantity > 100", "keeps none of the rows"),
        ("CustomerID IS NULL", "row 4, column CustomerID: an id is missing"),
        (
            "CustomerID IS NULL",
            r"""leave such rows out: ingest.where: 'LENGTH\(TRIM\("CustomerID"\)\) > 0'""",
        ),
    ],
)
def test_a_condition_that_cannot_be_is_refused(tmp_path: Path, where: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(shop(tmp_path), where=where)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("Quantity >", "not an SQL expression"),
        ("Quantity > AVG(Quantity)", r"looks at more than one row \(Agg\)"),
        ("COUNT(*) > 1", "looks at more than one row"),
        ("QUANTILE_CONT(Quantity, 0.5) < Quantity", "looks at more than one row"),
        ("CORR(Quantity, Quantity) > 0", "looks at more than one row"),
        ("ROW_NUMBER() OVER (PARTITION BY a) = 1", "looks at more than one row"),
        ("a IN (SELECT 1)", "where"),
        ("a > 1e400", "cannot be read"),
        ("LPAD(a, 9, 'x') = 'b'", "LPAD and RPAD may fill all memory"),
        ("GREATEST() > 1", "key ingest.where"),
    ],
)
def test_a_condition_is_on_single_rows(where: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        Where(where, [], "key ingest.where")


def test_rows_behind_those_left_out_keep_their_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 6, column InvoiceDate: 'noon'"):
        read(
            shop(tmp_path, SHOP.replace("2010-12-05 10:00:00", "noon")),
            where="Quantity > 0 AND CustomerID > 0",
        )
    text = SHOP.replace("4,knife", "4,cup")
    twice = r"shop\.csv, row 6: CustomerID '13047\.0', StockCode 'cup' is there already, on row 5"
    with pytest.raises(DataError, match=twice):
        build(read(shop(tmp_path, text), where="Quantity > 0 AND CustomerID > 0"))


def test_a_column_of_a_condition_is_in_every_file(tmp_path: Path) -> None:
    for name, column in (("a.csv", "event"), ("b.csv", "Event")):
        (tmp_path / name).write_text(f"user,item,ts,{column}\nann,{name},1,buy\n")
    with pytest.raises(DataError, match=r"column 'event' is missing; there are .*'Event'"):
        read_files([tmp_path / "a.csv", tmp_path / "b.csv"], None, TableParams(where="event = 'buy'"))


def test_a_bound_counts_repeats_at_other_times(tmp_path: Path) -> None:
    rows = [f"ann,{item},{time}" for time, item in enumerate(["cup", "cup", "fork", "cup", "jug"])]
    path = shop(tmp_path, "\n".join(["user,item,ts", *rows]))
    assert len(read(path, min_user_interactions=5, repeats="keep").interactions) == 5
    with pytest.raises(DataError, match="no interaction is left"):
        read(path, min_user_interactions=5, repeats="last")


def test_a_bound_counts_no_repeats(tmp_path: Path) -> None:
    rows = [f"{user},{item},{item}" for user, items in (("ann", 3), ("bob", 8)) for item in range(items)]
    path = shop(tmp_path, "\n".join(["user,item,ts", *rows, *rows]))
    for repeats in ("keep", "first", "last"):
        raw = read(path, min_user_interactions=5, repeats=repeats)
        assert raw.removed == {"removed_repeats": 11, "removed_min_user_interactions": 3}
        assert build(raw, repeats=repeats).lengths.to_list() == [8]


def test_a_condition_reads_a_missing_number_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pl.DataFrame(
        {"user": "ann", "item": ["a", "b", "c"], "ts": [1, 2, 3], "score": [4.0, float("nan"), None]}
    ).write_parquet(path)
    assert len(read(path, where="score >= 3").interactions) == 1
    with pytest.raises(DataError, match="a rating is missing") as caught:
        read(path, min_rating=3)
    remedy = str(caught.value.remedy)
    condition = remedy.partition("ingest.where: '")[2].partition("'")[0]
    assert len(read(path, min_rating=3, where=condition).interactions) == 1


def test_keys_that_come_late_in_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_files, "_BLOCK", 100)
    lines = [f'{{"user": "ann", "item": "{item}", "ts": {item}}}' for item in range(9)]
    late = [line.replace("}", ', "shop": "web", "rating": 4}') for line in lines]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([*lines, *late, *lines]).replace('"rating"', '"other"'))
    params = TableParams(where="shop = 'web'")
    check_columns([path], params)
    assert len(read_files(path, None, params).interactions) == 9
    with pytest.raises(ParamsError, match="not an SQL expression"):
        check_columns([path], TableParams(where="shop ="))
    path.write_text("\n".join([*lines, *late]))
    with pytest.raises(DataError, match="column rating is missing in the first rows, but later rows have it"):
        read(path)


Pairs = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=36, unique=True)


def core(rows: list[tuple[int, int]], users: int, items: int) -> list[tuple[int, int]]:
    """Remove rare users and items until nothing changes, by plain loops."""
    while True:
        of_user, of_item = Counter(user for user, _ in rows), Counter(item for _, item in rows)
        kept = [(user, item) for user, item in rows if of_user[user] >= users and of_item[item] >= items]
        if kept == rows:
            return rows
        rows = kept


@settings(deadline=None, max_examples=150)
@given(rows=Pairs, users=st.integers(1, 4), items=st.integers(1, 4), block=st.integers(1, 9))
def test_k_core(rows: list[tuple[int, int]], users: int, items: int, block: int) -> None:
    table = pl.DataFrame([(str(u), str(i), 3, u + i) for u, i in rows], INTERACTIONS, orient="row")
    listed = table["item_id"].unique(maintain_order=True)
    log, expected = EventLog.of(table, listed), core(rows, users, items)
    params = TableParams(min_user_interactions=users, min_item_interactions=items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "BLOCK", block)
        if not expected:
            with pytest.raises(DataError, match="no interaction is left"):
                filtered(log, params, "keep")
            return
        found, removed = filtered(log, params, "keep")
        kept = [(int(user), int(item)) for block in found.blocks() for user, item in zip(
            found.user_ids(block["user"]), found.item_ids(block["item"]), strict=True)]  # fmt: skip
    assert kept == expected
    assert sum(removed.values()) == len(rows) - len(expected)
    assert len(found.user_counts) == len({user for user, _ in expected})
    assert filtered(found, params, "keep")[1] == dict.fromkeys(removed, 0)


def test_low_ratings_are_left_out(tmp_path: Path) -> None:
    text = "user,item,ts,stars\nann,cup,1,4\nann,fork,2,3.5\nann,jug,3,5\nbob,cup,3,1\n"
    raw = read(shop(tmp_path, text), min_rating=4)
    assert events(raw).rows() == [("ann", "cup", 4, 1), ("ann", "jug", 5, 3)]
    assert raw.removed == {"removed_min_rating": 2}
    assert raw.items["item_id"].to_list() == ["cup", "jug"]
    with pytest.raises(DataError, match=r"row 2, column stars: a rating is missing"):
        read(shop(tmp_path, text.replace("3.5", "")), min_rating=4)
    with pytest.raises(DataError, match=r"(?s)column rating is missing; there are .*ingest\.columns: {rating: NAME}"):
        read(shop(tmp_path, text.replace("stars", "x")), min_rating=4)
    with pytest.raises(ValidationError, match="rating cannot be left out"):
        TableParams(min_rating=4, columns={"rating": None})


def test_nothing_is_counted_where_nothing_is_set(tmp_path: Path) -> None:
    assert read(shop(tmp_path, SHOP.replace(",,", ",1,"))).removed == {}


BLANK = {
    ".csv": "user,item,timestamp\n\\N,cup,1\n,cup,2\n  ,cup,3\nann,cup,4\n",
    ".jsonl": '{"user": null, "item": "cup", "timestamp": 1}\n{"user": "", "item": "cup", "timestamp": 2}\n'
    '{"user": "  ", "item": "cup", "timestamp": 3}\n{"user": "ann", "item": "cup", "timestamp": 4}\n',
}


@pytest.mark.parametrize("suffix", [*BLANK, ".parquet"])
def test_what_the_message_says_leaves_out_the_rows_without_an_id(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    if suffix == ".parquet":
        users = [None, "", "  ", "ann"]
        pl.DataFrame({"user": users, "item": ["cup"] * 4, "timestamp": [1, 2, 3, 4]}).write_parquet(path)
    else:
        path.write_text(BLANK[suffix])
    with pytest.raises(DataError, match=r"an id is missing \(and 2 more rows\)") as caught:
        read_files(path, None)
    where = YAML(typ="safe").load(str(caught.value.remedy).partition("ingest.where: ")[2])
    raw = read_files(path, None, TableParams(where=where))
    assert events(raw)["user_id"].to_list() == ["ann"]
    assert raw.removed == {"removed_where": 3}


def test_one_condition_leaves_out_times_that_are_null_and_times_that_are_blank(tmp_path: Path) -> None:
    path, times = tmp_path / "events.parquet", [None, "", "  ", "2024-01-01"]
    pl.DataFrame({"user": ["ann"] * 4, "item": list("abcd"), "timestamp": times}).write_parquet(path)
    with pytest.raises(DataError, match=r"a timestamp is missing \(and 2 more rows\)") as caught:
        read_files(path, None)
    where = YAML(typ="safe").load(str(caught.value.remedy).partition("ingest.where: ")[2])
    assert events(read_files(path, None, TableParams(where=where)))["item_id"].to_list() == ["d"]


def test_a_name_with_a_dot_is_shown_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "i.jsonl").write_text('{"user": "ann", "item": "cup", "timestamp": 1, "event": {"type": "play"}}\n')
    with pytest.raises(DataError, match=r'a name with a dot has double quotes: "event\.type"'):
        read_files(tmp_path / "i.jsonl", None, TableParams(where="event.type = 'play'"))
    assert len(read_files(tmp_path / "i.jsonl", None, TableParams(where="\"event.type\" = 'play'")).interactions) == 1
