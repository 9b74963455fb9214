"""Times of own tables: all dates in one unit, no mixtures, and remedies that work as they are written."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hierrec.core.errors import DataError, ParamsError
from hierrec.ingest import own_files, parquet_files
from hierrec.ingest.dataset import build
from hierrec.ingest.look import look
from hierrec.ingest.own_files import read_files
from hierrec.ingest.params import TableParams
from ruamel.yaml import YAML

from tests.ingest.own_tables import events

Part = tuple[str, Any]
"""Suffix of a file, and its times."""
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": pl.DataFrame.write_csv,
    "parquet": pl.DataFrame.write_parquet,
    "jsonl": pl.DataFrame.write_ndjson,
}
MONDAY = 1_704_067_200
"""The first of January 2024, in seconds."""


def write(folder: Path, *parts: Part) -> list[Path]:
    """Write a table in parts; items are numbered from 0 through all of them."""
    paths, count = list[Path](), 0
    for number, (suffix, values) in enumerate(parts):
        times = pl.Series(values)
        items = range(count, count + len(times))
        count += len(times)
        paths.append(folder / f"part-{number}.{suffix}")
        WRITERS[suffix](pl.DataFrame({"user": "ann", "item": items, "timestamp": times}), paths[-1])
    return paths


def times(paths: list[Path], **params: Any) -> list[float]:
    return events(read_files(paths, None, TableParams.model_validate(params)))["timestamp"].to_list()


def moments(unit: Any, *seconds: int) -> pl.Series:
    per = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return pl.Series([per * second for second in seconds]).cast(pl.Datetime(unit))


DATES: dict[str, Part] = {
    "ms": ("parquet", moments("ms", MONDAY, MONDAY + 86_400)),
    "us": ("parquet", moments("us", MONDAY, MONDAY + 86_400)),
    "ns": ("parquet", moments("ns", MONDAY, MONDAY + 86_400)),
    "zone": ("parquet", [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2)]),
    "date": ("parquet", [date(2024, 1, 1), date(2024, 1, 2)]),
    "CSV": ("csv", ["2024-01-01T00:00:00", "2024-01-02"]),
    "JSON": ("jsonl", ["2024-01-01", "2024-01-02T02:00+02:00"]),
}
NANOSECOND = ("parquet", pl.Series([10**9 * MONDAY + 1]).cast(pl.Datetime("ns")))


@pytest.mark.parametrize("second", DATES)
@pytest.mark.parametrize("first", DATES)
def test_dates_of_all_kinds_have_one_unit(tmp_path: Path, first: str, second: str) -> None:
    expected = [10**6 * MONDAY, 10**6 * (MONDAY + 86_400)] * 2
    assert times(write(tmp_path, DATES[first], DATES[second])) == expected


@pytest.mark.parametrize("kind", DATES)
@pytest.mark.parametrize("finer", [NANOSECOND, ("csv", ["2024-01-01T00:00:00.000000001"])])
def test_one_time_with_nanoseconds_makes_all_nanoseconds(tmp_path: Path, kind: str, finer: Part) -> None:
    day = 10**9 * MONDAY
    for parts in ((DATES[kind], finer), (finer, DATES[kind])):
        assert sorted(times(write(tmp_path, *parts))) == [day, day + 1, day + 86_400 * 10**9]


def test_dates_in_a_form_of_ones_own_among_others(tmp_path: Path) -> None:
    paths = write(tmp_path, ("csv", ["01.01.2024"]), DATES["date"], ("parquet", ["02.01.2024"]), NANOSECOND)
    day, next_day = 10**9 * MONDAY, 10**9 * (MONDAY + 86_400)
    assert times(paths, time_format="%d.%m.%Y") == [day, day, next_day, next_day, day + 1]
    (old := tmp_path / "part-0.csv").write_text(old.read_text().replace("2024", "1600"))
    with pytest.raises(DataError, match=r"part-0\.csv, row 1, column timestamp: a time -11,6.*us .*nanosec"):
        times(paths, time_format="%d.%m.%Y")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pl.Series([0, 2**62]).cast(pl.Datetime("ms")), r"4,611,686,018,427,387,904 ms since 1970 does not fit"),
        (pl.Series([0, -(2**63)]).cast(pl.Datetime("ms")), "-9,223,372,036,854,775,808 ms since 1970 does not"),
        (pl.Series([0, 2**31 - 1], dtype=pl.Int32).cast(pl.Date), "2,147,483,647 days since 1970 does not fit"),
    ],
)  # fmt: skip
def test_a_time_that_does_not_fit_is_refused(tmp_path: Path, values: pl.Series, message: str) -> None:
    with pytest.raises(DataError, match=rf"part-0\.parquet, row 2, column timestamp: a time {message}"):
        times(write(tmp_path, ("parquet", values)))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [DATES["us"], ("csv", [MONDAY])],
            r"csv, row 1, .*'1704067200' is not a date in ISO 8601, as the first",
        ),
        (
            [DATES["CSV"], ("csv", [1_612_010_112_345])],
            "csv, row 1, .*'1612010112345' is not a date in ISO 8601, as",
        ),
        ([DATES["us"], ("parquet", [MONDAY])], "parquet, column timestamp: holds numbers, but .* hold dates"),
        ([DATES["date"], ("jsonl", [1.5])], "jsonl, column timestamp: holds numbers, but .* hold dates"),
        ([("parquet", [MONDAY]), DATES["us"]], "parquet, column timestamp: holds dates, but .* hold numbers"),
        ([("csv", [MONDAY]), DATES["date"]], "parquet, column timestamp: holds dates, but .* hold numbers"),
        ([("parquet", [MONDAY]), DATES["CSV"]], "csv, row 1, .*'2024-.* is not a number, as the first"),
    ],
)
def test_numbers_among_dates_are_refused(tmp_path: Path, parts: list[Part], message: str) -> None:
    with pytest.raises(DataError, match=f"(?s)part-1.{message}.*write "):
        times(write(tmp_path, *parts))


@pytest.mark.parametrize(
    ("parts", "warned"),
    [
        (
            [("csv", [1000 * MONDAY] * 2), ("csv", [MONDAY])],
            "1,704,067,200, fits seconds .*000, fits millisec",
        ),
        ([("csv", [MONDAY + 0.5]), ("csv", [10**6 * MONDAY])], "fits seconds .* fits microseconds"),
        ([("csv", [1, 2]), ("csv", [MONDAY])], None),
        ([("csv", [MONDAY]), ("csv", [MONDAY - 10**9])], None),
        ([DATES["ms"], DATES["us"]], None),
    ],
)
def test_numbers_of_two_units_are_noted(tmp_path: Path, parts: list[Part], warned: str | None) -> None:
    lines = [line for line in look(build(read_files(write(tmp_path, *parts), None))) if "in one unit" in line]
    assert bool(lines) == (warned is not None)
    assert warned is None or re.search(warned, lines[0])


DAYS = [20240101, 19991231, 21001231, 19000101]


@pytest.mark.parametrize("block", [48, 2**22])
@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_numbers_that_are_dates_are_read_as_the_message_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, kind: type[pl.DataType], block: int
) -> None:
    monkeypatch.setattr(own_files, "_BLOCK", block)
    monkeypatch.setattr(parquet_files, "_ROWS", block)
    days = pl.Series(DAYS).cast(pl.Int64 if suffix == "csv" else kind)
    paths = write(tmp_path, (suffix, days))
    with pytest.raises(DataError, match="numbers such as 20240101 are dates") as caught:
        times(paths)
    found = re.search(r"ingest\.(time_format: .*)", str(caught.value))
    assert found
    assert times(paths, **YAML(typ="safe").load(found[1]))[0] == 10**6 * MONDAY


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [20240101, 20240132], [20241301], [18991231], [21010101], [202401011], [20240101.5]]
)
@pytest.mark.parametrize("suffix", WRITERS)
def test_other_numbers_are_no_dates(tmp_path: Path, values: list[float], suffix: str) -> None:
    assert times(write(tmp_path, (suffix, values))) == values


def test_names_of_zones_are_refused(tmp_path: Path) -> None:
    paths = write(tmp_path, ("csv", ["2024-01-01 10:00:00 UTC", "2024-01-01 11:00:00 UTC"]))
    with pytest.raises(ParamsError, match=r"(?s)key ingest\.time_format: .*%Z.* '(%Y-.* UTC)'") as caught:
        times(paths, time_format="%Y-%m-%d %H:%M:%S %Z")
    found = re.search(r"'(%Y-.* UTC)'", str(caught.value))
    assert found
    assert times(paths, time_format=found[1])[0] == 10**6 * (MONDAY + 36_000)
    (path := tmp_path / "part-0.csv").write_text("user,item,timestamp\nann,cup,2024%Z01-01\n")
    assert times([path], time_format="%Y%%Z%m-%d")


GOOD: dict[str, tuple[list[Any], Any]] = {
    "texts": (["2024-01-01", "2024-01-02"], pl.String),
    "numbers in texts": (["5", "6.5"], pl.String),
    "integers": ([5, 6], pl.Int64),
    "floats": ([5.5, 6.5], pl.Float64),
    "dates": ([date(2024, 1, 1), date(2024, 1, 2)], pl.Date),
}
MISSING: dict[str, list[Any]] = {
    "texts": [None, "", "  ", "\\N", "NULL", "it's unknown", "nan"],
    "numbers in texts": [None, "", " ", "\\N", "nan"],
    "integers": [None],
    "floats": [None, float("nan")],
    "dates": [None],
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(("kind", "missing"), [(kind, value) for kind in MISSING for value in MISSING[kind]])
def test_rows_without_a_time_are_left_out_as_the_message_says(
    tmp_path: Path, kind: str, missing: Any, suffix: str, first: bool
) -> None:
    (one, two), dtype = GOOD[kind]
    values = [missing, one, two] if first else [one, missing, two]
    paths = write(tmp_path, (suffix, pl.Series(values, dtype=dtype)))
    if suffix == "jsonl" and missing != missing:
        pytest.skip("JSON has no NaN: it is null")
    with pytest.raises(DataError, match=r"column timestamp") as caught:
        times(paths)
    found = re.search(r"ingest\.(where: '.*')", str(caught.value))
    assert found
    params = YAML(typ="safe").load(found[1])
    (tmp_path / "good").mkdir()
    good = write(tmp_path / "good", (suffix, pl.Series([one, two], dtype=dtype)))
    assert times(paths, **params) == times(good)
