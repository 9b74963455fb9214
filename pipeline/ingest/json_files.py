"""Reader of JSON lines and of lines with Python's dicts (Amazon's metadata of 2014), a block at a time."""

import ast
import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import polars as pl

from ..core.errors import DataError, quote
from .sources import Layout, Source, check_names

_ALIKE = "write the values of a key the same way"
_REMEDY = 'write one JSON object a line, such as {"user": "ann", "item": 7, "timestamp": 978300760}'


class _Pairs(list[tuple[str, object]]):
    """A JSON object as a list of its pairs, so that a repeated key is noticed."""


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON; write null")


def pairs_of(text: bytes | str, where: str, remedy: str) -> list[tuple[str, object]]:
    """Return the keys and values of a JSON object; raise ``DataError``, at `where`, if the text is not one."""
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise DataError("is not UTF-8", where, f"{remedy}; or say its encoding (ingest.encoding)") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON ({error})", where, remedy) from None
    if not isinstance(pairs, _Pairs):
        raise DataError("is JSON, but not an object", where, remedy)
    return pairs


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table, one object a line; a key that an object lacks is null.

    Raises ``DataError`` if a line is no object or has a key twice, or if the values of a key differ in kind.
    """
    before = 0
    for block in source.line_blocks(layout.size):
        lines = enumerate(block.removeprefix(b"\xef\xbb\xbf").split(b"\n"), before + 1)
        numbered = [(number, line) for number, line in lines if line.strip()]
        if numbered and numbered[0][1].lstrip().startswith(b"{'"):
            numbered = [(number, _from_python(source.place, number, line)) for number, line in numbered]
        text = b"\n".join(line for _, line in numbered)
        try:
            table = pl.read_ndjson(text, infer_schema_length=None) if numbered else pl.DataFrame()
        except pl.exceptions.PolarsError:
            _check(source.place, numbered)
            raise _unreadable(source.place, numbered) from None
        if len(table) != len(numbered):
            what = f"has {len(numbered):,} lines from line {before + 1} on, of which {len(table):,} could be read"
            raise DataError(what, source.place, _REMEDY)
        keys = [(json.dumps(column.name, ensure_ascii=False).encode(), column.count()) for column in table]
        # Then a key may be repeated, null, or in a record. Polars turns half of a surrogate pair into a zero byte.
        if any(text.count(key) > count for key, count in keys) or b"\\ud" in text.lower():
            _check(source.place, numbered)
        for column in table if not layout.one_line else ():  # interactions have columns that nobody reads
            if column.dtype == pl.String:
                _refuse_nested(source.place, numbered, column)
        columns = [part for column in table for part in flat(column)]
        check_names(source.place, [column.name for column in columns])
        before += block.count(b"\n")
        yield pl.DataFrame(columns)


def flat(column: pl.Series) -> list[pl.Series]:
    """Return a column of text, numbers or lists of those as it is; of objects, a column for each of their keys.

    Lists of lists become one list. Key `id` of an object `user` is column `user.id`; of a list of objects, it is a
    column of lists.
    """
    while isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.List):
        column = column.list.eval(pl.element().explode())
    kind = column.dtype.inner if isinstance(column.dtype, pl.List) else column.dtype
    if not isinstance(kind, pl.Struct):
        return [column]
    names = list(kind.to_schema())
    if column.dtype == kind:
        fields = column.struct.unnest().get_columns()
    else:
        fields = [column.list.eval(pl.element().struct.field(name)) for name in names]
    named = zip(fields, names, strict=True)
    return [part for field, name in named for part in flat(field.alias(f"{column.name}.{name}"))]


def _from_python(place: str, number: int, line: bytes) -> bytes:
    try:
        tree = ast.parse(line.decode().strip(), mode="eval").body
        if isinstance(tree, ast.Dict):
            keys = [key.value for key in tree.keys if isinstance(key, ast.Constant)]
            _refuse_repeated(keys, f"{place}, line {number}")
        return json.dumps(ast.literal_eval(tree)).encode()
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise DataError("is neither JSON nor a Python dict", f"{place}, line {number}", _REMEDY) from None


def _refuse_repeated(keys: Sequence[object], where: str) -> None:
    """Refuse a key that is there twice: readers keep the one value or the other."""
    if twice := [key for place, key in enumerate(keys) if key in keys[:place]]:
        raise DataError(f"key {quote(twice[0])} is there twice", where, "write one value of each key")


def _check(place: str, numbered: list[tuple[int, bytes]]) -> None:
    """Raise ``DataError`` for the first line that is no object, has a key twice, or holds half of a surrogate pair."""
    for number, line in numbered:
        where = f"{place}, line {number}"
        pairs = pairs_of(line, where, _REMEDY)
        try:
            json.dumps(pairs, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError("has half of a surrogate pair", where, _REMEDY) from None
        _refuse_repeated([key for key, _ in pairs], where)


def _unreadable(place: str, numbered: list[tuple[int, bytes]]) -> DataError:
    """Return the error of the first line that polars cannot read after the lines before it, and of its key."""

    def fails(*lines: bytes) -> bool:
        try:
            pl.read_ndjson(b"\n".join(lines), infer_schema_length=None)
        except pl.exceptions.PolarsError:
            return True
        return False

    lines = [line for _, line in numbered]
    last = bisect_left(range(len(lines)), True, key=lambda end: fails(*lines[: end + 1]))
    number, line = numbered[min(last, len(lines) - 1)]
    if fails(line):
        return DataError(
            "has a value that cannot be read, such as a number that is too large", f"{place}, line {number}", _REMEDY
        )
    parsed = [json.loads(each) for each in lines[: last + 1]]
    for key in parsed[-1]:
        if fails(*(json.dumps({key: each[key]}).encode() for each in parsed if key in each)):
            place = f"{place}, line {number}, key {key}"
            return DataError("is of another kind than in the lines before", place, _ALIKE)
    return DataError(
        "the values of a key differ in kind from those of earlier lines", f"{place}, line {number}", _ALIKE
    )


def _refuse_nested(place: str, numbered: list[tuple[int, bytes]], column: pl.Series) -> None:
    """Refuse a list or an object where other lines have a text: polars returns its JSON."""
    for row in column.str.contains(r"(?s)^(\[.*\]|\{.*\})$").fill_null(False).arg_true():
        number, line = numbered[row]
        if isinstance(json.loads(line)[column.name], list | dict):
            where = f"{place}, line {number}, key {column.name}"
            raise DataError("is a list or an object, but other lines hold a text", where, _ALIKE)
