"""Reader of a data set of one's own: a table of interactions and, optionally, a table of items."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import numpy as np
import polars as pl

from ..core.errors import DataError, NoRowsError, quote
from ..core.where import Where
from .checks import Checks
from .columns import find_columns
from .event_log import ITEMS, EventLog, RawDataset
from .item_files import read_items
from .params import TableParams, by_place
from .row_filters import filtered
from .sources import Layout, file_source, md5_file
from .table_files import IDS, JSON, as_ids, as_text, not_missing_sql, read_parts
from .timestamps import FinerFound, Timestamps

_BLOCK = 2**22  # bytes of a text file in memory; blocks of other tables are larger: their rows are longer and fewer
_WHERE = "params.yaml, key ingest.where"
# What programs write for a missing value, in lower case.
_MISSING = ("null", "none", "nan", "nil", "na", "n/a", "<na>", "undefined")

Paths = Path | Sequence[Path]  # the file of a table, or several whose rows follow each other


def read_files(interactions: Paths, items: Paths | None, params: TableParams | None = None) -> RawDataset:
    """Read and check the tables of a data set (see `read_blocks`).

    Interactions have columns of user, item and timestamp, and maybe of the rating (see `find_columns`); only
    `params.where` reads others. A timestamp, of any unit, orders the interactions of a user; equal timestamps keep the
    order of their rows.

    Items have a column of ids, and optionally `title`, `year`, `genres` (a list, or text separated by `|`) and other
    texts. A missing text is null. Items that only interactions name are added without text.

    `params` are the layout of the files, and which rows count; None: the defaults. Raises ``NoRowsError`` if no row is
    there or counts, and ``DataError``, with file, row and column, if a file or a value is malformed.
    """
    params = params or TableParams()
    paths, listing = ([table] if isinstance(table, Path) else table or [] for table in (interactions, items))
    listed, columns, left_out = read_items(listing, params) if listing else (pl.DataFrame(schema=ITEMS), {}, [])
    where = None
    if params.where is not None:
        files = groupby(_blocks(paths, params), itemgetter(0))
        where = Where(params.where, ((block for _, block in blocks) for _, blocks in files), _WHERE)
    read = partial(_read_rows, paths, listed["item_id"], params, where)
    try:
        log, roles, removed = read(Timestamps(False, params.time_format))
    except FinerFound:
        log, roles, removed = read(Timestamps(True, params.time_format))
    named = params.given.get("item")
    if isinstance(named, str) and named not in (roles["item"], columns.get("item")):
        what = f"no table has a column {quote(named)}, which ingest.columns names"
        raise DataError(what, ", ".join(map(str, [paths[0], *listing[:1]])), "correct it")
    notes = [f"interactions: {_described(roles, paths)}"]
    if listing:
        further = listed[:, 1:].iter_columns()
        texts = [part.name for part in further if (part.list.len().sum() if part.dtype == pl.List else part.count())]
        lacking = f"; left out: {', '.join(left_out)}" if left_out else ""
        notes.append(f"items: {_described(columns, listing)}; texts: {', '.join(texts)}{lacking}")
        if "title" not in columns:
            notes.append("items have no title, so their ids are shown; ingest.item_columns: {title: NAME} names one")
    notes += suspicious_users(log)
    log, more = filtered(log, params, params.repeats)
    unlisted = log.item_ids(np.arange(len(listed), len(log.item_seen)))
    if len(unlisted):
        if listing and not log.item_seen[: len(listed)].any():
            what = (
                f"lists none of the {len(unlisted):,} items of the interactions: {quote(listed['item_id'][0])} is an id"
                f" here, {quote(unlisted[0])} there (column {roles['item']})"
            )
            remedy = "write the ids in both tables the same way, or set ingest.items to null"
            raise DataError(what, str(listing[0]), remedy)
        notes.append(_note(unlisted, listing))
        added = pl.DataFrame({"item_id": unlisted}).with_columns(genres=pl.lit([], ITEMS["genres"]))
        listed = pl.concat([listed, added], how="diagonal")
    checksums = {"interactions": md5_file(*paths), **({"items": md5_file(*listing)} if listing else {})}
    return RawDataset("files", None, listed, log, checksums, tuple(notes), removed | more)


def check_columns(paths: Sequence[Path], params: TableParams) -> None:
    """Check that the columns exist which have a role or which `params.where` names; only the first rows are read.

    Raises ``ParamsError`` if `where` is no condition on single rows, and ``DataError`` if a column is missing, or as
    `read_blocks` does.
    """
    for path, block in islice(_blocks(paths, params), 1):
        _columns(block, path, params)
        if params.where is not None:
            some = file_source(path).suffix in JSON  # then the first rows may lack a column
            Where(params.where, [] if some else [[block]], _WHERE)


def suspicious_users(log: EventLog) -> list[str]:
    """Name the users whose ids may stand for a missing id."""
    users = log.user_ids()
    odd = users.str.to_lowercase().is_in(_MISSING).arg_true()
    rest = "interactions; if this stands for a missing id, leave them out by ingest.where"
    return [f"user {quote(users[user])} has {log.user_counts[user]:,} {rest}" for user in odd]


def _columns(table: pl.DataFrame, path: Path, params: TableParams) -> dict[str, str]:
    shared = params.item_columns is None
    return find_columns(table.columns, str(path), params.needed, ("rating",), params.given, shared=shared)


def _note(unlisted: pl.Series, listing: Sequence[Path]) -> str:
    """Say how many items have no text because no table lists them."""
    if listing:
        such = f"{len(unlisted):,} items, such as {quote(unlisted[0])}"
        return f"{such}, are not listed in {listing[0]}: added without text"
    return (
        f"no table of items: the {len(unlisted):,} items of the interactions have no text but that of ingest.item_text"
        " ({extra_text}); without any, their vectors are equal, and only the order of interactions is learned"
    )


def _described(columns: Mapping[str, str], paths: Sequence[Path]) -> str:
    """Return the name of each role's column, and the files."""
    files = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files from {paths[0]} to {paths[-1]}"
    return f"{', '.join(f'{role} = {name}' for role, name in columns.items())}, of {files}"


def _blocks(paths: Sequence[Path], params: TableParams) -> Iterator[tuple[Path, pl.DataFrame]]:
    layout = Layout(params.separator, unnamed=by_place(params.given), size=_BLOCK, one_line=True)
    return read_parts(paths, layout, params.encoding)


def _read_rows(
    paths: Sequence[Path], listed: pl.Series, params: TableParams, where: Where | None, times: Timestamps
) -> tuple[EventLog, dict[str, str], dict[str, int]]:
    """Return the interactions, the columns of roles in the first file, and the number of rows that `where` removes."""
    checks = Checks()
    log, first, count = EventLog(listed, checks), {}, 0
    columns: dict[Path, dict[str, str]] = {}
    names = set[str]()  # of the columns of the file so far
    for path, table in _blocks(paths, params):
        if path not in columns:
            checks.files.append((count, str(path)))
            columns[path] = _columns(table, path, params)
            first = first or columns[path]
            names = set(table.columns)
            if columns[path].keys() != first.keys():
                what = "some files of the table have a rating column, and others have none"
                remedy = "write all files alike, or leave the rating out: ingest.columns: {rating: null}"
                raise DataError(what, str(path), remedy)
        elif later := [name for name in table.columns if name not in names]:  # of JSON lines
            names.update(later)
            roles = find_columns([*names], str(path), (), ("rating",), params.given, shared=params.item_columns is None)
            if "rating" in roles.keys() - columns[path].keys():
                what = f"column {roles['rating']} is missing in the first rows, but later rows have it"
                raise DataError(what, str(path), "write the key in each line; null stands for no rating")
        rows = np.arange(count, count + len(table))
        count += len(table)
        if where is not None:
            kept = where.keeps(table)
            table, rows = table.filter(kept), rows[kept.to_numpy()]
        if len(table):
            checks.rows = rows
            log.append(*_typed(table, columns[path], times, params, checks), lines=rows)
    if not count:
        raise NoRowsError("the tables have no rows", str(paths[0]), "add rows")
    if not len(log):
        raise NoRowsError("ingest.where keeps none of the rows", str(paths[0]), "correct it")
    checks.user, checks.item = first["user"], first["item"]
    return log, first, {} if where is None else {"removed_where": count - len(log)}


def _typed(
    table: pl.DataFrame, columns: dict[str, str], times: Timestamps, params: TableParams, checks: Checks
) -> list[pl.Series]:
    """Return users, items, timestamps and, if there is such a column, ratings of a block."""
    # A block of JSON lines may lack a column.
    missing = pl.repeat(None, len(table), eager=True)
    values = {role: table.get_column(name, default=missing.alias(name)) for role, name in columns.items()}
    without = f"{IDS}, or leave such rows out: ingest.where: '{{}}'"
    typed = [as_ids(values[role], checks, without.format(not_missing_sql(values[role]))) for role in ("user", "item")]
    typed.append(times.read(values["timestamp"], checks))
    if "rating" in columns:
        typed.append(_ratings(values["rating"], params.min_rating is not None, checks))
    return typed


def _ratings(values: pl.Series, needed: bool, checks: Checks) -> pl.Series:
    """Return ratings as numbers; a missing one is null, and is refused if it is `needed`."""
    texts, remedy = as_text(values), "write numbers, or leave the column out: ingest.columns: {rating: null}"
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise DataError(f"type is {values.dtype}", f"{checks.place}, column {values.name}", remedy)
    numbers = (values if values.dtype.is_numeric() else texts).cast(pl.Float64, strict=False).fill_nan(None)
    bad = (numbers.is_null() & texts.is_not_null()) | numbers.is_infinite().fill_null(False)
    checks.refuse_values(bad, values, "is not a rating", remedy)
    if needed:
        what = "a rating is missing, which ingest.min_rating needs"
        remedy = f"leave the row out (ingest.where: '{not_missing_sql(values)}'), or set ingest.min_rating to null"
        checks.refuse(numbers.is_null(), lambda _: what, remedy, values.name)
    return numbers
