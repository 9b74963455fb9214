"""Tables that people bring, of any format that has a reader, with ids, texts and lists of texts as columns."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from ..core.errors import DataError
from . import csv_files, json_files, parquet_files
from .archive import is_html
from .checks import Check, Refuse, quote, refuse
from .sources import COMPRESSED, Source, file_source
from .tables import Layout

Reader = Callable[[Source, Layout], Iterator[pl.DataFrame]]
"""Yields the blocks of rows of a table; it refuses what it cannot read, and loses nothing."""

READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".item"), csv_files.blocks),
    **dict.fromkeys((".parquet", ".pq"), parquet_files.blocks),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), json_files.blocks),
}
"""The reader of each suffix, lower case. `docs/own-data.md` shows how to add one."""

_EXACT = 2**53
"""From here on, floats cannot tell whole numbers apart."""


def read_table(path: Path, layout: Layout | None = None, encoding: str = "utf-8") -> pl.DataFrame:
    """Read a table whole; see `read_blocks`."""
    blocks = read_blocks(file_source(path, encoding), layout or Layout())
    return pl.concat(blocks, how="diagonal_relaxed", rechunk=True)


def read_blocks(source: Source, layout: Layout, may_be_empty: bool = False) -> Iterator[pl.DataFrame]:
    """Read a table a block of rows at a time; there is at least one, unless it may be empty, and none is empty.

    The values of a text file are all text, null where nothing stands between two separators. Other formats keep their
    types, as far as they are text, numbers, booleans, dates, or lists of those.

    Raises:
        DataError: the file is of another kind, damaged, not in its encoding, has a row with too few or too many
            columns, no row, a column without a name of its own, a quote that is not closed, or a type that is none of
            those.
        OutOfMemoryError: a block does not fit into memory.
    """
    reader = READERS.get(source.suffix)
    if reader is None:
        what = f"its name does not say which kind of table it is ({source.suffix or 'no suffix'})"
        remedy = (
            f"let it end in one of {' '.join(READERS)}, and {' or '.join(COMPRESSED)} where it is compressed"
        )
        raise DataError(what, source.place, remedy)
    empty = True
    try:
        if is_html(source.unpacked):
            raise DataError("is a web page, not a table", source.place, "fetch the file again")
        for block in reader(source, layout):
            if not block.is_empty():
                empty = False
                yield block
    except UnicodeError as error:  # UTF-16 without its mark is no UnicodeDecodeError
        what = f"is not {source.encoding.upper()} ({error})"
        raise DataError(what, source.place, "set ingest.encoding to its encoding") from None
    except OSError as error:
        remedy = "compress or fetch the file again" if source.packed else "mend that"
        raise DataError(f"cannot be read ({error.strerror or error})", source.place, remedy) from None
    if empty and not may_be_empty:
        raise DataError("table has no rows", source.place, "use one that has")


def as_ids(values: pl.Series, place: str, refuse: Refuse = refuse) -> pl.Series:
    """Return ids as text: text as it is, whole numbers without a decimal point.

    Args:
        values: the column, or a block of it.
        place: the file.
        refuse: what refuses rows.

    Raises:
        DataError: an id is missing, has control characters, or is neither text nor a whole number.
    """
    name, remedy = values.name, "give every row an id: text, or a whole number"
    if values.dtype.is_float():  # whole numbers that stood beside a missing one
        bad = ~(values.is_finite() & (values == values.floor()) & (values.abs() < _EXACT))
        refuse(Check(bad, place, lambda row: f"{values[row]} is not a whole number", remedy, name))
        values = values.cast(pl.Int64)
    elif not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Null)):
        raise DataError(
            f"type is {values.dtype}, not text or a whole number", f"{place}, column {name}", remedy
        )
    ids = values.cast(pl.String)
    refuse(
        Check(ids.fill_null("").str.strip_chars() == "", place, lambda _: "an id is missing", remedy, name)
    )
    control = ids.str.contains(r"[\x00-\x1f\x7f]")
    refuse(Check(control, place, lambda row: f"{quote(ids[row])} has a control character", remedy, name))
    return ids


def as_text(values: pl.Series) -> pl.Series:
    """Return a column as text, or as lists of text if it holds lists; what is blank or NaN is null, or left out."""
    if isinstance(values.dtype, pl.List):
        texts = values.list.eval(_text(pl.element(), values.dtype.inner).drop_nulls())
        return texts.cast(pl.List(pl.String))
    return values.to_frame().select(_text(pl.col(values.name), values.dtype)).to_series()


def _text(values: pl.Expr, dtype: object) -> pl.Expr:
    if dtype in (pl.Float32, pl.Float64):
        values = values.fill_nan(None)
    texts = values.cast(pl.String)
    # As Python's str.strip(): the separators below the space, which Unicode does not call white, are blank too.
    return pl.when(texts.str.contains(r"[^\s\x1c-\x1f]")).then(texts)
