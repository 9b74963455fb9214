import contextlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.core.sequences import GAP_BUCKETS
from hierrec.core.tables import (
    candidates_of,
    load_interactions,
    load_items,
    load_split,
    load_times,
    load_users,
    write_table,
)
from hierrec.ingest.dataset import build
from hierrec.ingest.movielens import read_movielens
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.ingest.archives import write_archive

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "items": load_items,
    "users": load_users,
    "interactions": load_interactions,
    "split": load_split,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build(read_movielens(write_archive(tmp_path / "small.zip"))).write(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("table", READERS)
def test_a_missing_table_says_how_to_get_it(tmp_path: Path, table: str) -> None:
    with pytest.raises(DataError, match=r"(?s)file is missing.*dvc repro"):
        READERS[table](tmp_path / f"{table}.parquet")


@pytest.mark.parametrize("table", READERS)
def test_every_column_is_needed_with_its_type(folder: Path, table: str) -> None:
    path = folder / f"{table}.parquet"
    sound = pl.read_parquet(path)
    for column in sound.columns:
        sound.drop(column).write_parquet(path)
        with pytest.raises(DataError, match=f"column {column} is missing"):
            READERS[table](path)
        sound.with_columns(pl.lit(b"x").alias(column)).write_parquet(path)
        with pytest.raises(DataError, match=f"column {column}: type is Binary"):
            READERS[table](path)
    sound.clear().write_parquet(path)
    with pytest.raises(DataError, match="table is empty"):
        READERS[table](path)


def test_items_may_have_more_columns_and_other_tables_not(folder: Path) -> None:
    for table, reader in READERS.items():
        path = folder / f"{table}.parquet"
        more = pl.read_parquet(path).with_columns(plot=pl.lit("text"))
        more.write_parquet(path)
        if table == "items":
            assert_frame_equal(reader(path), more)
        else:
            with pytest.raises(DataError, match="unknown columns: plot"):
                reader(path)


def test_in_a_split_by_time_the_validation_has_candidates_of_its_own() -> None:
    items = pl.DataFrame({"candidate": [True, True, False], "validation_candidate": [True, False, False]})
    found = [marks.tolist() for table in (items, items[:, :1]) for marks in candidates_of(table)]
    assert found == [[True, True, False], [True, False, False], [True, True, False], [True, True, False]]


row, user, item, position = pl.col("row"), pl.col("user"), pl.col("item"), pl.col("position")
BROKEN: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "items reversed": ("items", pl.DataFrame.reverse, "column row: rows are not numbered"),
    "item row twice": ("items", lambda t: t.with_columns(row.replace(2, 1)), "column row"),
    "first item missing": ("items", lambda t: t[1:], "column row"),
    "item id twice": (
        "items",
        lambda t: t.with_columns(pl.col("item_id").replace("9", "1")),
        "column item_id",
    ),
    "no genres": (
        "items",
        lambda t: t.with_columns(genres=pl.lit(None, pl.List(pl.String))),
        "column genres: a value is missing",
    ),
    "no candidate": ("items", lambda t: t.with_columns(candidate=pl.lit(False)), "column candidate"),
    "users reversed": ("users", pl.DataFrame.reverse, "column user"),
    "user id twice": (
        "users",
        lambda t: t.with_columns(pl.col("user_id").replace("2", "1")),
        "column user_id",
    ),
    "interactions reversed": ("interactions", pl.DataFrame.reverse, "column user"),
    "a user in two places": ("interactions", lambda t: pl.concat([t, t[:1]]), "column user"),
    "a user missing": ("interactions", lambda t: t.filter(user != 1), "column user"),
    "position missing": (
        "interactions",
        lambda t: t.filter((user != 0) | (position != 1)),
        "column position",
    ),
    "position twice": ("interactions", lambda t: t.with_columns(position.replace(1, 0)), "column position"),
    "positions reversed": ("interactions", lambda t: t.sort("user", -position), "column position"),
    "negative item": ("interactions", lambda t: t.with_columns(item - 1), "column item"),
    "negative user": ("interactions", lambda t: t.with_columns(user - 1), "column user"),
    "item null": (
        "interactions",
        lambda t: t.with_columns(item.replace(3, None)),
        "column item: a value is missing",
    ),
    "split reversed": ("split", pl.DataFrame.reverse, "column user"),
    "no training": (
        "split",
        lambda t: t.with_columns(train_length=pl.lit(0, pl.Int32)),
        "column train_length",
    ),
    "one target": (
        "split",
        lambda t: t.with_columns(pl.col("test").fill_null(1)),
        "column test: a user has only one",
    ),
    "negative target": ("split", lambda t: t.with_columns(pl.col("validation") - 9), "column validation"),
    "negative test": ("split", lambda t: t.with_columns(pl.col("test") - 9), "column test"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_table_that_is_not_as_written_is_refused(folder: Path, case: str) -> None:
    table, edit, message = BROKEN[case]
    path = folder / f"{table}.parquet"
    edit(pl.read_parquet(path)).write_parquet(path)
    with pytest.raises(DataError, match=message) as caught:
        READERS[table](path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"user,item\n0,1\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "users.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_users(path)


@pytest.mark.parametrize("table", ["users", "interactions"])
def test_no_flipped_bit_goes_unnoticed(folder: Path, table: str) -> None:
    """One bit of every byte; the rest, names and statistics that are not read, change nothing."""
    path = folder / f"{table}.parquet"
    sound, content = READERS[table](path), path.read_bytes()
    refused = 0
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            read = READERS[table](path)
        except DataError:
            refused += 1
        else:
            assert read.equals(sound), at
            assert read.schema == sound.schema, at
    assert refused > len(content) // 2


@pytest.mark.parametrize(
    ("name", "column", "kind", "most"), [("gaps", "gap", pl.Int8, GAP_BUCKETS - 1), ("clock", "earlier", pl.Int32, 1)]
)
def test_times_have_bounds(tmp_path: Path, name: str, column: str, kind: type[pl.DataType], most: int) -> None:
    path = tmp_path / f"{name}.parquet"
    write_table(pl.DataFrame({column: [0, most]}, {column: kind}), path)
    assert load_times(path).tolist() == [0, most]
    write_table(pl.DataFrame({column: [0, most + 1]}, {column: kind}), path)
    with pytest.raises(DataError, match=f"column {column}: a number is impossible"):
        load_times(path)


def test_no_number_of_rows_is_believed_alone(tmp_path: Path) -> None:
    path, users = tmp_path / "users.parquet", pl.int_range(40, dtype=pl.Int32, eager=True)
    write_table(pl.DataFrame({"user": users, "user_id": users.cast(pl.String)}), path)
    content = path.read_bytes()
    for at in [place for place, byte in enumerate(content) if byte == 2 * 40]:  # as the footer writes 40
        path.write_bytes(content[:at] + bytes([2 * 32]) + content[at + 1 :])
        with contextlib.suppress(DataError):
            assert len(load_users(path)) == 40


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_damage_goes_unnoticed_or_crashes_a_reader(folder: Path, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(READERS)))
    path = folder / f"{table}.parquet"
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:at] + data.draw(st.binary(max_size=4)) + content[at + data.draw(st.integers(0, 4)) :]
    broken = path.with_name("broken.parquet")
    broken.write_bytes(damaged)
    with contextlib.suppress(DataError):
        read = READERS[table](broken)
        assert_frame_equal(read, READERS[table](path))
