"""Reader of a table of items (ids, title, year, genres, and any other texts), and of further text per item."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import polars as pl

from ..core.errors import DataError, NoRowsError, quote
from ..core.tables import CANDIDATE_COLUMNS
from .checks import Checks
from .columns import EXACT, find_columns
from .event_log import RawDataset
from .json_files import pairs_of
from .params import TableParams, by_place
from .sources import Layout, check_names, md5_file
from .table_files import as_ids, as_text, cleaned, read_parts, read_table

EXTRA_TEXT = "extra_text"  # column of the further text

_RESERVED = ("row", *CANDIDATE_COLUMNS)
_LAST_YEAR = 9999
_NO_YEAR = "or read no year: ingest.item_columns: {year: null}"
_JSON_REMEDY = 'write one JSON object, {"id": "text", …}, in UTF-8 or in ingest.encoding'


def read_items(paths: Sequence[Path], params: TableParams) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """Read items from the files of a table: item_id, title, year, genres, and every other column as text.

    Returns the items, the column of each role, and the columns left out: those named item_id, title, year or genres
    whose role is given to another column, or to none. Raises ``DataError``, with file, row and column, if a file or a
    value is malformed.
    """
    checks, parts = Checks(), list[pl.DataFrame]()
    roles, left_out = dict[str, str](), list[str]()
    kinds = dict[str, tuple[pl.DataType, Path]]()
    for path, blocks in groupby(_blocks(paths, params), itemgetter(0)):
        table = pl.concat((block for _, block in blocks), how="diagonal_relaxed", rechunk=True)
        checks.files.append((sum(map(len, parts)), str(path)))
        found, texts = _columns(table.columns, str(path), params)
        part = _part(table, found, texts, str(path))
        for name, kind in part.select(pl.exclude(pl.Null)).schema.items():
            first, other = kinds.setdefault(name, (kind, path))
            if kind != first:
                here, there = ("lists" if isinstance(each, pl.List) else "text" for each in (kind, first))
                what, remedy = f"holds {here}, but {there} in {other}", "write it the same way in all files"
                raise DataError(what, f"{path}, column {name}", remedy)
        parts.append(part)
        roles = {**found, **roles}
        left_out += [name for name in table.columns if name not in {*found.values(), *texts, *left_out}]
    if not parts:
        raise NoRowsError("the tables have no rows", str(paths[0]), "add rows")
    items = pl.concat(parts, how="diagonal_relaxed", rechunk=True)
    items = items.with_columns(pl.col(pl.Null).cast(pl.String))
    if params.item_rows == "refuse":
        remedy = "keep one of the rows, or set ingest.item_rows to first, last or longest"
        checks.refuse_duplicates(items["item_id"].alias(roles["item"]), remedy)
    if params.clean_text:
        items = items.with_columns(cleaned(column) for column in items[:, 1:])
    return _one_row(items, params.item_rows), roles, left_out


def check_item_columns(paths: Sequence[Path], params: TableParams) -> None:
    """Check the names of the columns of items; only the first rows are read. Raises ``DataError`` as `read_items`."""
    for path, block in islice(_blocks(paths, params), 1):
        _columns(block.columns, str(path), params)


def _blocks(paths: Sequence[Path], params: TableParams) -> Iterator[tuple[Path, pl.DataFrame]]:
    return read_parts(paths, Layout(params.separator, unnamed=by_place(params.given_of_items)), params.encoding)


def _columns(names: Sequence[str], place: str, params: TableParams) -> tuple[dict[str, str], dict[str, str]]:
    """Return the column of each role; and every further column whose name is not taken, with its name as a text."""
    shared, key = params.item_columns is None, "ingest.item_columns"
    found = find_columns(names, place, ("item",), EXACT, params.given_of_items, key, shared)
    # A type that RecBole adds to a name is not part of the name.
    texts = {name: name.partition(":")[0] for name in names if name not in found.values()}
    for column, name in texts.items():
        if name in _RESERVED:
            raise DataError(f"the name of column {column} is taken", place, "give it another name")
    texts = {column: name for column, name in texts.items() if name not in ("item_id", *EXACT)}
    check_names(place, [texts.get(name, name) for name in names])
    return found, texts


def _part(table: pl.DataFrame, roles: Mapping[str, str], texts: Mapping[str, str], place: str) -> pl.DataFrame:
    """Return the items of one file; the type of a text without values is Null."""
    checks, missing = Checks(place), pl.Series("", [None] * len(table), pl.String)
    title, year, genres = (table[roles[role]] if role in roles else missing for role in EXACT)
    title = as_text(title)
    title = title.list.join(", ") if isinstance(title.dtype, pl.List) else title
    title = as_text(title.str.replace_all(r"\s+", " ").str.strip_chars())  # in one line
    items = {"item_id": as_ids(table[roles["item"]], checks), "title": title}
    items |= {"year": _years(year, checks), "genres": _genres(genres)}
    further = {name: as_text(table[column]) for column, name in texts.items()}
    empty = [name for name, text in further.items() if text.dtype == pl.String and not text.count()]
    return pl.DataFrame(items | further).with_columns(pl.lit(None).alias(name) for name in empty)


def _one_row(items: pl.DataFrame, which: str) -> pl.DataFrame:
    """Return one row for each item, in order of first rows; each column has its `which` value that is not missing."""
    if which == "refuse" or items["item_id"].is_unique().all():
        return items

    def chosen(name: str, listed: bool) -> pl.Expr:
        column = pl.col(name).filter(pl.col(name).list.len() > 0) if listed else pl.col(name).drop_nulls()
        if which == "longest":
            text = column.list.join("") if listed else column.cast(pl.String)
            column = column.sort_by(text.str.len_chars(), descending=True, maintain_order=True)
        return column.last() if which == "last" else column.first()

    columns = [chosen(name, isinstance(dtype, pl.List)) for name, dtype in items.schema.items()][1:]
    return items.group_by("item_id", maintain_order=True).agg(columns).with_columns(pl.col("genres").fill_null([]))


def _years(values: pl.Series, checks: Checks) -> pl.Series:
    texts = as_text(values)
    if isinstance(texts.dtype, pl.List):
        where = f"{checks.place}, column {values.name}"
        raise DataError(f"type is {values.dtype}", where, f"write one year, or nothing; {_NO_YEAR}")
    years = texts.str.strip_chars().cast(pl.Float64, strict=False)
    whole = (years == years.floor()) & years.is_between(-_LAST_YEAR, _LAST_YEAR)
    bad = ~whole.fill_null(False) & texts.is_not_null()
    remedy = f"write a whole number up to {_LAST_YEAR}, or nothing; {_NO_YEAR}"
    checks.refuse_values(bad, texts, "is not a year", remedy)
    return years.cast(pl.Int32)


def _genres(values: pl.Series) -> pl.Series:
    texts = as_text(values)
    if not isinstance(texts.dtype, pl.List):
        texts = texts.fill_null("").str.split("|")
    named = pl.element().str.strip_chars()
    return texts.fill_null([]).list.eval(named.filter(named != "").unique(maintain_order=True))


def read_item_text(path: Path, encoding: str = "utf-8") -> pl.DataFrame:
    """Read texts by item id: a JSON object, or a table of `item_id` and `text`.

    Returns item_id, extra_text, without the items whose text is blank. Raises ``DataError`` if the file is of another
    kind or damaged, an id is missing or there twice, or a value is not text.
    """
    place, remedy = str(path), "join the texts of an item into one"
    if path.suffix.lower() == ".json":
        ids, texts = _read_json(path, encoding)
    else:
        table, remedy = read_table(path, encoding), f"{remedy} row"
        ids = table[find_columns(table.columns, place, ("item",))["item"]]
        if "text" not in table.columns:
            raise DataError("column text is missing", place, "name the columns item_id and text")
        texts = as_text(table["text"])
        if texts.dtype != pl.String:
            raise DataError(f"type is {table['text'].dtype}", f"{place}, column text", "write one text per item")
    checks = Checks(place)
    found = pl.DataFrame({"item_id": as_ids(ids, checks), EXTRA_TEXT: texts})
    checks.refuse_duplicates(found["item_id"], remedy)
    return found.drop_nulls()


def add_item_text(raw: RawDataset, path: Path, clean: bool = True, encoding: str = "utf-8") -> RawDataset:
    """Join the texts of a file to the items of a data set, as column `extra_text`; null where there is none.

    `clean`: entities and stray white space in the texts are cleaned. A note of the data set counts the items that get a
    text, and the ids that name no item. Raises ``DataError`` as `read_item_text` does, or if the file names no item, or
    if the items have such a column already.
    """
    if EXTRA_TEXT in raw.items.columns:
        remedy = "rename that column, or set ingest.item_text to null"
        raise DataError(f"the items have a column {EXTRA_TEXT} already", raw.name, remedy)
    texts = read_item_text(path, encoding)
    if clean:
        texts = texts.with_columns(cleaned(texts[EXTRA_TEXT])).drop_nulls()
    items = raw.items.join(texts, on="item_id", how="left", maintain_order="left")
    matched = items[EXTRA_TEXT].count()
    if not matched:
        example = f", such as {quote(texts['item_id'][0])}," if len(texts) else ""
        what = f"none of its {len(texts):,} ids{example} is the id of an item, such as {quote(items['item_id'][0])}"
        remedy = "key the texts by the ids of the items, or set ingest.item_text to null"
        raise DataError(what, str(path), remedy)
    checksums = {**raw.checksums, "item_text": md5_file(path)}
    note = f"further text for {matched:,} items; {len(texts) - matched:,} ids of {path} name no item"
    return replace(raw, items=items, checksums=checksums, notes=(*raw.notes, note))


def _read_json(path: Path, encoding: str) -> tuple[pl.Series, pl.Series]:
    """Return ids and texts; a blank text is null."""
    place = str(path)
    try:
        content = path.read_bytes().decode(encoding).removeprefix("\ufeff")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", place, "make it readable") from None
    except UnicodeError as error:
        raise DataError(f"is not JSON ({error})", place, _JSON_REMEDY) from None
    pairs = pairs_of(content, place, _JSON_REMEDY)
    for key, text in pairs:
        where = f"{place}, key {quote(key)}"
        if not (text is None or isinstance(text, str)):
            raise DataError("is not a text", where, _JSON_REMEDY)
        try:
            f"{key}{text}".encode()
        except UnicodeEncodeError:
            raise DataError("has half of a surrogate pair", where, _JSON_REMEDY) from None
    table = pl.DataFrame(pairs, {"item_id": pl.String, "text": pl.String}, orient="row")
    return table["item_id"], as_text(table["text"])
