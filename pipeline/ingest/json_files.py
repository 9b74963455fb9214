"""Reader of JSON lines, a block at a time; also of Python's dicts, as Amazon's metadata of 2014 are."""

import ast
import json
from collections.abc import Iterator
from contextlib import suppress

import polars as pl

from ..core.errors import DataError
from .checks import quote
from .sources import Source
from .tables import Layout, check_names

_REMEDY = 'write one JSON object a line, such as {"user": "ann", "item": 7, "timestamp": 978300760}'


class Pairs(list[tuple[str, object]]):
    """A JSON object as its pairs, so that no key that is there twice goes unnoticed."""

    def refuse_repeated(self, where: str) -> None:
        """Refuse an object with a key twice, of whose values readers keep one or the other.

        Raises:
            DataError: there is one.
        """
        seen: set[str] = set()
        for key, _ in self:
            if key in seen:
                raise DataError(f"key {quote(key)} is there twice", where, "write one value of each key")
            seen.add(key)


def blocks(source: Source, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read a table, one object a line; a key that an object lacks is null.

    Lists in lists become one list. Records, and lists of them, are left out.

    Raises:
        DataError: a line is no object or has a key twice, or the values of a key are of kinds that do not go together.
    """
    before = 0
    for block in source.line_blocks(layout.size):
        text = block.removeprefix(b"\xef\xbb\xbf")
        lines = [line for line in text.split(b"\n") if line.strip()]
        if lines and lines[0].lstrip().startswith(b"{'"):
            text = b"\n".join(_from_python(source.place, block.split(b"\n"), before))
        if b"\\ud" in text.lower():
            _refuse_halves(source.place, text.split(b"\n"), before)
        try:
            table = pl.read_ndjson(text, infer_schema_length=None) if lines else pl.DataFrame()
        except pl.exceptions.PolarsError as error:
            raise _error(source.place, block.split(b"\n"), before, str(error)) from None
        if len(table) != len(lines):
            what = (
                f"has {len(lines):,} lines from line {before + 1} on, of which {len(table):,} could be read"
            )
            raise DataError(what, source.place, _REMEDY)
        if any(
            text.count(json.dumps(column.name, ensure_ascii=False).encode()) > column.count()
            for column in table
        ):
            _refuse_repeated(source.place, text.split(b"\n"), before)  # or a key is null, or in a record too
        check_names(source.place, table.columns)
        before += block.count(b"\n")
        yield _flat(table)


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    columns = []
    for column in table:
        while isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.List):
            column = column.list.eval(pl.element().explode())
        inner = column.dtype.inner if isinstance(column.dtype, pl.List) else column.dtype
        if not isinstance(inner, pl.Struct):
            columns.append(column)
    return pl.DataFrame(columns)


def _from_python(place: str, lines: list[bytes], before: int) -> Iterator[bytes]:
    for number, line in enumerate(lines, before + 1):
        try:
            tree = ast.parse(line.decode().strip() or "None", mode="eval").body
            if isinstance(tree, ast.Dict):
                keys = [key.value for key in tree.keys if isinstance(key, ast.Constant)]
                Pairs((str(key), None) for key in keys).refuse_repeated(f"{place}, line {number}")
            yield json.dumps(ast.literal_eval(tree)).encode() if line.strip() else b""
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise DataError("is neither JSON nor a Python dict", f"{place}, line {number}", _REMEDY) from None


def _refuse_repeated(place: str, lines: list[bytes], before: int) -> None:
    for number, line in enumerate(lines, before + 1):
        with suppress(ValueError, RecursionError):  # a blank line, or one that only polars can read
            json.loads(line, object_pairs_hook=Pairs).refuse_repeated(f"{place}, line {number}")


def _refuse_halves(place: str, lines: list[bytes], before: int) -> None:
    """Refuse half of a surrogate pair, which polars would replace by a zero byte."""
    for number, line in enumerate(lines, before + 1):
        try:
            json.dumps(json.loads(line), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise DataError("has half of a surrogate pair", f"{place}, line {number}", _REMEDY) from None
        except (ValueError, RecursionError):
            continue  # polars will refuse it


def _error(place: str, lines: list[bytes], before: int, message: str) -> DataError:
    """Return what is wrong with the first line that is no object, or else what polars says of the block."""
    for number, line in enumerate(lines, before + 1):
        if not line.strip():
            continue
        where = f"{place}, line {number}"
        try:
            if not isinstance(json.loads(line), dict):
                return DataError("is JSON, but no object", where, _REMEDY)
        except UnicodeDecodeError:
            return DataError("is not UTF-8", where, f"{_REMEDY}; or say its encoding (ingest.encoding)")
        except (ValueError, RecursionError) as error:
            return DataError(f"is not JSON ({error})", where, _REMEDY)
    what = f"values of one key differ in kind ({message.splitlines()[0][:120]})"
    return DataError(what, f"{place}, from line {before + 1} on", "write the values of a key the same way")
