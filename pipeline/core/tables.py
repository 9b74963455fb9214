"""Write and read the tables of a data set as Parquet.

The readers check columns, types, order and ranges. They raise DataError if the file is missing, damaged or wrong.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .errors import DataError
from .sequences import GAP_BUCKETS

REMEDY = "run `dvc repro`, or `dvc pull`"
_ROW_GROUP = 2**20

_TEXTS = {"title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)}
_ITEMS = pl.Schema({"row": pl.Int32, "item_id": pl.String, **_TEXTS, "candidate": pl.Boolean})
CANDIDATE_COLUMNS = ("candidate", "validation_candidate")
"""Columns that mark the items that may be ranked for the test and, in a split by time, for the validation."""

_USERS = pl.Schema({"user": pl.Int32, "user_id": pl.String})
_INTERACTIONS = pl.Schema({"user": pl.Int32, "item": pl.Int32, "position": pl.Int32})
_SPLIT = pl.Schema({"user": pl.Int32, "train_length": pl.Int32, "validation": pl.Int32, "test": pl.Int32})
_BY_TIME = {"test_length": pl.Int32, "length": pl.Int32}
_POSITIONS = pl.List(pl.Int32)
_ALL_TARGETS = {"validation_positions": _POSITIONS, "test_positions": _POSITIONS}
_OPTIONAL = (_BY_TIME, _ALL_TARGETS, {"session_starts": _POSITIONS}, {"repeated": pl.Boolean})


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table with a checksum per page; equal tables give equal bytes."""
    write_parts([table], path)


def write_parts(parts: Iterable[pl.DataFrame], path: Path) -> None:
    """Write a table that comes in one or more parts. The bytes do not depend on how it is cut into parts."""
    groups = (rows.to_arrow(compat_level=pl.CompatLevel.oldest()) for rows in _regrouped(parts))
    first = next(groups)
    options = {"compression": "zstd", "write_page_checksum": True}
    # The writer would leave a file of its own open if the disk is full.
    with pa.OSFile(str(path), "wb") as file, pq.ParquetWriter(file, first.schema, **options) as writer:
        for group in chain([first], groups):
            writer.write_table(group, row_group_size=_ROW_GROUP)


def _regrouped(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the rows in complete row groups, then the rest."""
    rest = pl.DataFrame()
    for part in parts:
        rows = pl.concat([rest, part]) if rest.width else part
        whole = max(0, len(rows) - 1) // _ROW_GROUP * _ROW_GROUP
        yield from rows[:whole].iter_slices(_ROW_GROUP)
        rest = rows[whole:]
    yield rest


def load_items(path: Path) -> pl.DataFrame:
    """Read `items.parquet`. Row i is item i. Further columns are allowed and kept."""
    items = _read(path, _ITEMS, nullable={"title", "year"}, more=True)
    _check(path, "row", _numbered(items["row"]), "rows are not numbered from 0")
    _check(path, "item_id", items["item_id"].n_unique() == len(items), "an id occurs twice")
    _check(path, "candidate", items["candidate"].any(), "no item may be ranked")
    return items


def candidates_of(items: pl.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the items that may be ranked for the test and for the validation, bool [n] each."""
    known = CANDIDATE_COLUMNS[-1] if CANDIDATE_COLUMNS[-1] in items.columns else CANDIDATE_COLUMNS[0]
    return items[CANDIDATE_COLUMNS[0]].to_numpy(), items[known].to_numpy()


def load_users(path: Path) -> pl.DataFrame:
    """Read `users.parquet`. Row i is user i."""
    users = _read(path, _USERS)
    _check(path, "user", _numbered(users["user"]), "users are not numbered from 0")
    _check(path, "user_id", users["user_id"].n_unique() == len(users), "an id occurs twice")
    return users


def load_interactions(path: Path) -> pl.DataFrame:
    """Read `interactions.parquet`: item rows, sorted by (user, position)."""
    return pl.concat(interaction_groups(path), rechunk=True)


def interaction_groups(path: Path) -> Iterator[pl.DataFrame]:
    """Read `interactions.parquet`, a row group at a time.

    Users are 0, 1, 2, … without a gap, as are the positions of each user. Items are at least 0; the caller checks that
    they exist.
    """
    last_user = last_position = -1
    for group in _groups(path, _INTERACTIONS):
        user, position = (group[name].to_numpy().astype(np.int64) for name in ("user", "position"))  # [n]
        step = np.diff(user, prepend=last_user)  # [n], 1 where a user begins
        numbered = ((step == 0) | (step == 1)).all() and (last_user >= 0 or step[0] == 1)
        _check(path, "user", numbered, "users are not numbered from 0, or not sorted")
        expected = np.where(step == 1, 0, np.append(last_position, position[:-1]) + 1)  # [n]
        _check(path, "position", np.array_equal(position, expected), "positions of a user are not 0, 1, 2, …")
        _check(path, "item", (group["item"] >= 0).all(), "an item row is negative")
        last_user, last_position = user[-1], position[-1]
        yield group


def load_times(path: Path) -> NDArray[np.integer]:
    """Read a table of `times/`: a number for each interaction, int8 or int32 [N].

    `gaps` has the bucket of the gap before it, `clock` the number of interactions before its time.
    """
    column, kind = {"gaps": ("gap", pl.Int8), "clock": ("earlier", pl.Int32)}[path.stem]
    numbers = _read(path, pl.Schema({column: kind}))[column]
    most = (GAP_BUCKETS if column == "gap" else len(numbers)) - 1
    _check(path, column, numbers.is_between(0, most).all(), "a number is impossible")
    return numbers.to_numpy()


def load_split(path: Path) -> pl.DataFrame:
    """Read `split.parquet`. Row i is user i.

    Leave-one-out: each user has a training item, and both targets or none. Optional columns:
        `test_length`, `length`: in a split by time, the items before the test cut, and all items; a part may be empty.
        `validation_positions`, `test_positions`: positions of all targets; `validation`, `test` hold the first item.
        `session_starts`: positions of the items that start a session, except each user's first item.
        `repeated`: whether the user has an item twice.
    """
    names = set(next(row_groups(path)).columns)
    schema = dict(_SPLIT)
    for columns in _OPTIONAL:
        schema |= columns if names & columns.keys() else {}
    split = _read(path, pl.Schema(schema), nullable={"validation", "test"})
    validation, test, by_time = split["validation"], split["test"], "length" in schema
    _check(path, "user", _numbered(split["user"]), "users are not numbered from 0")
    _check(path, "train_length", by_time or (split["train_length"] >= 1).all(), "no training item")
    paired = by_time or (validation.is_null() == test.is_null()).all()
    _check(path, "test", paired, "a user has only one of the two targets")
    for targets in (validation, test):
        _check(path, targets.name, (targets.drop_nulls() >= 0).all(), "an item row is negative")
    return split


def _read(path: Path, columns: pl.Schema, nullable: Collection[str] = (), more: bool = False) -> pl.DataFrame:
    """Read and check a whole table; arguments as for `_groups`."""
    return pl.concat(_groups(path, columns, nullable, more), rechunk=True)


def _groups(
    path: Path, columns: pl.Schema, nullable: Collection[str] = (), more: bool = False
) -> Iterator[pl.DataFrame]:
    """Read the row groups that are not empty and check columns, types and nulls. `more` allows further columns."""
    empty = True
    for table in row_groups(path):
        for name, dtype in columns.items():
            if name not in table.columns:
                raise DataError(f"column {name} is missing", str(path), REMEDY)
            _check(path, name, table.schema[name] == dtype, f"type is {table.schema[name]}, not {dtype}")
            _check(path, name, name in nullable or not table[name].has_nulls(), "a value is missing")
        unknown = [name for name in table.columns if name not in columns]
        if unknown and not more:
            raise DataError(f"unknown columns: {', '.join(unknown)}", str(path), REMEDY)
        if not table.is_empty():
            empty = False
            yield table
    _check(path, next(iter(columns)), not empty, "table is empty")


def row_groups(path: Path) -> Iterator[pl.DataFrame]:
    """Read the row groups of a table, which are verified; a table without row groups gives one empty part."""
    try:
        # pyarrow, because polars panics on damaged files and does not verify checksums
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            # The footer has no checksum, but holds the number of rows twice.
            rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
            if sum(rows) != file.metadata.num_rows:
                raise ValueError(f"{sum(rows)} rows in groups, {file.metadata.num_rows} in all")
            for number in range(max(1, file.num_row_groups)):
                arrow = file.read_row_group(number) if file.num_row_groups else file.read()
                arrow.validate(full=True)
                yield pl.DataFrame({name: pl.Series(arrow[name]) for name in arrow.column_names})
    except FileNotFoundError:
        raise DataError("file is missing", str(path), REMEDY) from None
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"not a readable Parquet file ({error})", str(path), REMEDY) from None


def _numbered(rows: pl.Series) -> bool:
    return (rows == pl.int_range(len(rows), dtype=pl.Int32, eager=True)).all()


def _check(path: Path, column: str, holds: object, problem: str) -> None:
    if not holds:
        raise DataError(problem, f"{path}, column {column}", REMEDY)
