"""Broken tables of own data, CSV and Parquet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tests.ingest.broken_input import PAGE, Broken, Params
from tests.ingest.broken_members import append, replace
from tests.ingest.own_tables import TABLES, write_tables


def table(name: str, edit: Callable[[bytes], bytes], message: str, repeats: str = "keep") -> Broken:
    """One broken table; the message starts with its file."""

    def make(folder: Path) -> Params:
        tables = write_tables(folder, {**TABLES, name: edit(TABLES[name])})
        return {**tables, "ingest.repeats": repeats}

    return Broken(make, rf"{name}{message}")


def parquet(key: str, columns: Mapping[str, Any], message: str, renamed: str = "table.parquet") -> Broken:
    """One broken table: a Parquet file of these columns, perhaps under another suffix."""

    def make(folder: Path) -> Params:
        params = write_tables(folder)
        pl.DataFrame(columns, strict=False).write_parquet(folder / renamed)
        return {**params, f"ingest.{key}": str(folder / renamed)}

    return Broken(make, rf"{renamed}{message}")


def timestamps(values: pl.Series, message: str) -> Broken:
    columns = {
        "user": ["ann"] * len(values),
        "item": ["cup", "fork", "spoon"][: len(values)],
        "timestamp": values,
    }
    return parquet("interactions", columns, message)


def first(edit: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Edit the line of column names alone."""
    return lambda content: b"\n".join([edit((lines := content.split(b"\n"))[0]), *lines[1:]])


def further(third: bytes, last: bytes) -> Callable[[bytes], bytes]:
    """Add a column that is not read, with these values in the second row and the sixth."""

    def edit(content: bytes) -> bytes:
        values = [b"note", b"x", third, b"x", b"x", b"x", last, b"x", b"x"]
        return b"".join(line + b"," + value + b"\n" for line, value in zip(content.splitlines(), values, strict=True))

    return edit


def instants(digits: str, year: str = "2001") -> Callable[[bytes], bytes]:
    """One interaction, whose time has these fractional digits."""
    return lambda _: f"user,item,timestamp\nann,cup,{year}-01-01T00:00:00.{digits}\n".encode()


EVENTS, ITEMS = "interactions.csv", "items.csv"
BROKEN_TABLES = {
    "empty table": table(EVENTS, lambda _: b"", ": file is empty"),
    "blank table": table(EVENTS, lambda _: b"\n\n", ": file is empty"),
    "header only": table(EVENTS, lambda content: content.split(b"\n")[0], ": table has no rows"),
    "items without rows": table(ITEMS, lambda content: content.split(b"\n")[0] + b"\n", ": table has no rows"),
    "HTML instead of a table": table(EVENTS, lambda _: PAGE, ": is a web page, not a table"),
    "two separators": table(
        EVENTS,
        lambda _: b"user;x,item;timestamp,y\nann;1,cup;100,1\n",
        ": columns can be separated by a comma or",
    ),
    "no header": table(
        EVENTS,
        lambda content: content.split(b"\n", 1)[1],
        ": columns user, item, timestamp are missing; there",
    ),
    "no timestamps": table(EVENTS, first(replace(b"timestamp", b"when")), ": column timestamp is missing"),
    "no ids of items": table(ITEMS, first(replace(b"item", b"name")), ": column item is missing"),
    "two columns of ids": table(
        ITEMS, first(replace(b"plot", b"item_id")), ": has 2 columns that can be the item: item and item_id"
    ),
    "one name twice": table(ITEMS, first(replace(b"plot", b"title")), ": two columns are named 'title'"),
    "column without a name": table(ITEMS, first(replace(b"plot", b"")), ": column 5 has no name"),
    "reserved name": table(ITEMS, first(replace(b"plot", b"row")), ": the name of column row is taken"),
    "name of a mark": table(
        ITEMS,
        first(replace(b"plot", b"validation_candidate")),
        ": the name of column validation_candidate is taken",
    ),
    "column too few": table(EVENTS, replace(b"bob,kettle,60", b"bob,kettle"), ", row 6: Expected 3 columns, got 2"),
    "column too many": table(EVENTS, replace(b",60", b",60,5"), ", row 6: Expected 3 columns, got 4"),
    "comma in a text": table(ITEMS, replace(b"Stirs.", b"Stirs, well."), ", row 4: Expected 5 columns, got 6"),
    "quote never closed": table(ITEMS, replace(b"Stirs.", b'"Stirs.'), ", row 4, line 5: a quote is never closed"),
    "quote never closed in the middle": table(
        ITEMS, replace(b",Spoon,", b',"Spoon,'), ", row 4, line 5: a quote is never closed|Expected 5 columns"
    ),
    "two quotes never closed": table(EVENTS, further(b'"bad', b'"worse'), ", row 2, line 3: a quote is never closed"),
    "a quote closed rows later": table(
        EVENTS, further(b'"bad', b'worse"'), ", line 3: a quoted value goes on to line 7, and swallows"
    ),
    "a line end in an id": table(
        EVENTS, replace(b"bob,kettle", b'"bo\nb",kettle'), ", line 7: a quoted value goes on to line 8"
    ),
    "digits beyond nanoseconds": table(
        EVENTS, instants("0000000001"), r", row 1, .* is not a number or a date in ISO 8601"
    ),
    "nanoseconds beyond 2262": table(EVENTS, instants("000000001", "2263"), ", row 1, .* is not a number or"),
    "more digits than a float holds": table(
        EVENTS,
        lambda _: b"user,item,timestamp\nann,cup,1600000000.000000009\nann,fork,1600000000.000000005\n",
        r", row 1, column timestamp: '1600000000\.000000009' .*has too many digits \(and 1 more row",
    ),
    "Latin-1": table(ITEMS, lambda content: content.decode().encode("latin-1"), ", row 3: is not UTF-8"),
    "Latin-1 in the header": table(ITEMS, first(replace(b"plot", b"r\xe9sum\xe9")), ", line 1: is not UTF-8"),
    "UTF-16": table(EVENTS, lambda content: content.decode().encode("utf-16"), ", line 1: is not UTF-8"),
    "user missing": table(EVENTS, replace(b"bob,kettle", b",kettle"), ", row 6, column user: an id is missing"),
    "item missing": table(EVENTS, replace(b"bob,kettle", b"bob, "), ", row 6, column item: an id is missing"),
    "item without an id": table(ITEMS, replace(b"fork,", b","), ", row 5, column item: an id is missing"),
    "zero byte in an id": table(EVENTS, replace(b"cleo", b"cl\0eo"), ", row 8, column user: 'cl.x00eo' has a control"),
    "timestamp missing": table(EVENTS, replace(b",60", b","), ", row 6, column timestamp: a timestamp is missing"),
    "text for a timestamp": table(EVENTS, replace(b",60", b",noon"), ", row 6, column timestamp: 'noon' is not a num"),
    "text for all timestamps": table(
        EVENTS,
        lambda content: content.replace(b"0\n", b"x\n"),
        r", row 1, .*'10x' is not .* \(and 7 more rows\)",
    ),
    "NaN for a timestamp": table(EVENTS, replace(b",60", b",nan"), ", row 6, column timestamp: 'nan' is"),
    "infinite timestamp": table(EVENTS, replace(b",60", b",inf"), ", row 6, column timestamp: 'inf' is"),
    "overflow of a timestamp": table(EVENTS, replace(b",60", b"," + b"9" * 25), ", row 6, .* is too large to be exact"),
    "date among numbers": table(EVENTS, replace(b",60", b",2001-01-01"), ", row 6, column timestamp: '2001-01-01' is"),
    "number among dates": table(
        EVENTS, replace(b",100", b",2001-01-01"), ", row 2, column timestamp: '300' is not a date in ISO 8601"
    ),
    "impossible date": table(
        EVENTS,
        lambda _: b"user,item,timestamp\nann,cup,2001-02-30\n",
        ", row 1, .*'2001-02-30' is not a number or",
    ),
    "row twice": table(
        EVENTS,
        append(b"bob,cup,50\n"),
        ", row 9: user 'bob', item 'cup' is there already, on row 5",
        "refuse",
    ),
    "item twice": table(
        EVENTS,
        append(b"bob,cup,99\n"),
        ", row 9: user 'bob', item 'cup' is there already, on row 5",
        "refuse",
    ),
    "listed twice": table(ITEMS, append(b"cup,Other,,,\n"), ", row 6: item 'cup' is there already, on row 3"),
    "items of another shop": table(
        ITEMS,
        lambda content: content.rstrip().replace(b"\n", b"\n9"),
        ": lists none of the 4 items of the interactions: '9kettle' is an id here, 'kettle' there",
    ),
    "text for a year": table(ITEMS, replace(b"1961", b"old"), ", row 1, column year: 'old' is not a year"),
    "half a year": table(ITEMS, replace(b"1961", b"1961.5"), ", row 1, column year: '1961.5' is not a year"),
    "overflow of a year": table(ITEMS, replace(b"1961", b"19610000000"), ", row 1, column year: '19610000000' is"),
    "short histories only": table(EVENTS, lambda _: b"user,item,timestamp\nann,cup,1\nbob,cup,2\n", "|no user has 3"),
    "one item only": table(ITEMS, lambda _: b"item\njug\n", ": lists none of the 4 items"),
    "no such table": Broken(
        lambda folder: {**write_tables(folder), "ingest.items": str(folder / "absent.csv")},
        r"absent\.csv: no such file.*correct ingest\.items",
    ),
    "kind of file": Broken(
        lambda folder: {
            **write_tables(folder, {**TABLES, "items.xlsx": b"PK"}),
            "ingest.items": str(folder / "items.xlsx"),
        },
        r"items\.xlsx: there is no reader for \.xlsx",
    ),
    "checksum of a table": Broken(
        lambda folder: {**write_tables(folder), "ingest.items_md5": "0" * 32},
        r"items\.csv: this is another file.*correct ingest\.items_md5",
    ),
    "table not named": Broken(
        lambda folder: {**write_tables(folder), "ingest.interactions": None},
        r"line \d+, key ingest: .*interactions is null",
    ),
    "CSV called Parquet": Broken(
        lambda folder: {
            **write_tables(folder, {**TABLES, "items.parquet": TABLES[ITEMS]}),
            "ingest.items": str(folder / "items.parquet"),
        },
        r"items\.parquet: not a readable Parquet file",
    ),
    "Parquet called CSV": parquet("items", {"item": ["cup"]}, ", line 1: is not UTF-8", "items.csv"),
    "lists for ids": parquet("items", {"item": [["cup"]]}, r", column item: type is List\(String\), not text"),
    "fractions for ids": parquet("items", {"item": [1.0, 2.5]}, ", row 2, column item: 2.5 is not a whole number"),
    "ids that floats round": parquet(
        "items", {"item": [1.0, 2.0**53]}, ", row 2, column item: 9007199254740992.0 is not"
    ),
    "null for an id": parquet("items", {"item": [1, None, 3]}, ", row 2, column item: an id is missing"),
    "records for users": parquet(
        "interactions",
        {"user": [{"a": 1}], "item": ["cup"], "ts": [1]},
        ": column user is missing; there are 'user.a', 'item', 'ts'",
    ),
    "bytes for an id": parquet("items", {"item": [b"\xff"]}, ", column item: type is large_binary"),
    "nothing but bytes": parquet("items", {"thing": [b"a"]}, ": no column is text, number, date or a"),
    "lists for years": parquet("items", {"item": ["cup"], "year": [[1999]]}, ", column year: type is List"),
    "null for a timestamp": timestamps(pl.Series([1, None]), ", row 2, column timestamp: a timestamp is missing"),
    "NaN in Parquet": timestamps(pl.Series([1.5, float("nan")]), ", row 2, column timestamp: a timestamp is missing"),
    "infinity in Parquet": timestamps(pl.Series([1.5, float("inf")]), ", row 2, column timestamp: inf is too large"),
    "times that floats round": timestamps(pl.Series([2.0**53]), ", row 1, .* is too large to be exact"),
    "overflow in Parquet": timestamps(pl.Series([1, 2**64 - 1], dtype=pl.UInt64), ", row 2, .* is too large"),
    "booleans for timestamps": timestamps(pl.Series([True]), ", column timestamp: type is Boolean"),
}
