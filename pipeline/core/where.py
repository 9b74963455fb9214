"""Conditions on the rows of a table: an SQL expression over its columns, evaluated a block at a time."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from .errors import DataError, ParamsError, quote

_REMEDY = (
    'write a condition on single rows, such as "price > 0 AND name IS NOT NULL";'
    ' a column with the name of an SQL word needs quotes, such as "user"'
)
_TYPES = (
    "compare a column with numbers or with 'text', not with both; true and false in a CSV file are text: 'True';"
    " a date is DATE '2020-01-31'; a decimal comma is text: CAST(REPLACE(price, ',', '.') AS DOUBLE) > 2"
)
_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_MULTI_ROW = {
    *("Agg", "Len", "Over", "Window", "SubPlan", "Rolling"),
    *("Sort", "SortBy", "Gather", "Slice", "Explode", "Quantile", "Correlation"),
}
"""Polars' expressions that look at more than one row; a table is read in blocks, so they would see one block."""
_SINGLE = {"Column", "Literal", "StringExpr", "ListExpr"}
"""Names, values, and functions of one text or one list, such as `Slice`."""


class Where:
    """A condition on rows.

    In a CSV file all columns are text. A column of text that the condition compares with a text, or reads with a
    function of texts, stays text; another one whose values are all numbers is compared as numbers.

    `files` are the files of the table, each in blocks; a block may lack a column that others of its file have. `where`
    is the expression's place in messages. Raises ``ParamsError`` if it is no condition on single rows, and
    ``DataError`` if a file lacks a column that it names.
    """

    def __init__(self, text: str, files: Iterable[Iterable[pl.DataFrame]], where: str) -> None:
        self._where = where
        try:
            self._expression = pl.sql_expr(text)
            serialized = self._expression.meta.serialize(format="json")
            tree = json.loads(serialized)
        except (*_ERRORS, ValueError) as error:
            raise ParamsError(f"not an SQL expression ({_first_line(error)})", where, _REMEDY) from None
        if '"StringExpr":{"Pad' in serialized:  # a server computes the conditions of its clients
            raise ParamsError("LPAD and RPAD may fill all memory", where, "compare texts without them")
        if several := _MULTI_ROW.intersection(_kinds(tree)):
            raise ParamsError(f"looks at more than one row ({', '.join(sorted(several))})", where, _REMEDY)
        try:
            beside = set(_beside(tree))
        except _ERRORS as error:  # a number that no type holds
            raise ParamsError(f"cannot be read ({_first_line(error)})", where, _REMEDY) from None
        names = self._expression.meta.root_names()
        self._with_numbers = {name for name, kind in beside if kind == pl.Float64}  # or with true and false
        self._types: dict[str, type[pl.DataType]] = dict.fromkeys(names, pl.Int64)
        self._types |= {name: kind for name, kind in beside if kind == pl.String}
        for blocks in files:
            columns: dict[str, None] = {}
            for block in blocks:
                columns |= dict.fromkeys(block.columns)
                there = [name for name in names if name in block.columns]
                self._types |= {name: _fitting(block[name], self._types[name]) for name in there}
            if missing := [name for name in names if name not in columns]:
                what = f"column {quote(missing[0])} is missing; there are {', '.join(map(quote, [*columns][:20]))}"
                remedy = "correct its name (case counts), or add it to the table; a text has single quotes: 'buy'"
                if nested := next((name for name in columns if name.startswith(f"{missing[0]}.")), None):
                    remedy = f'a name with a dot has double quotes: "{nested}"'
                raise DataError(what, where, remedy)

    def keeps(self, block: pl.DataFrame) -> pl.Series:
        """Return whether each row meets the condition, bool; a row with an unknown result (null) does not.

        Raises ``DataError`` if the expression cannot be computed, or is no condition.
        """
        texts = [name for name in self._types if block.schema.get(name) == pl.String]
        missing = [pl.lit(None).alias(name) for name in self._types if name not in block.columns]  # of JSON lines
        typed = block.with_columns(*(pl.col(name).cast(self._types[name]) for name in texts), *missing)
        typed = typed.with_columns(pl.selectors.float().fill_nan(None))
        try:
            # Polars would compare a text with a decimal number as texts.
            if wrong := sorted(name for name in self._with_numbers if typed.schema.get(name) == pl.String):
                what = f"cannot compare a number, true or false with the text of column {quote(wrong[0])}"
                raise pl.exceptions.PolarsError(what)
            kept = typed.select(self._expression).to_series()
        except _ERRORS as error:
            what = f"cannot be computed ({_first_line(error)}){_example(typed, texts)}"
            raise DataError(what, self._where, _TYPES) from None
        if kept.dtype != pl.Boolean:
            raise DataError(f"is of type {kept.dtype}, so no condition", self._where, _REMEDY)
        kept = kept.fill_null(False)
        return kept if len(kept) == len(block) else pl.repeat(kept[0], len(block), eager=True)


def _first_line(error: Exception) -> str:
    """Return the first line of a message, or all of it where the first line only announces the rest."""
    first = str(error).partition("\n")[0]
    return " ".join(str(error).split())[:300] if first.endswith(":") else first


def _kinds(tree: Any) -> Iterator[str]:
    """Yield the kinds of expressions in a tree, without the content of `_SINGLE`."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list | dict):
        for part in tree:
            yield from _kinds(part)
            if isinstance(tree, dict) and part not in _SINGLE:
                yield from _kinds(tree[part])


def _beside(tree: Any) -> Iterator[tuple[str, type[pl.DataType]]]:
    """Yield the columns that an operation reads beside a value, each with `String`, or `Float64` for another value.

    A function of texts reads its columns as texts, whatever other values it takes.
    """
    if isinstance(tree, list):
        for part in tree:
            yield from _beside(part)
    elif isinstance(tree, dict):
        operands = tree.get("input") or [tree.get("left"), tree.get("right")]
        names = [part["Column"] for part in operands if isinstance(part, dict) and "Column" in part]
        kinds = [_type_of(part) for part in operands if isinstance(part, dict) and "Literal" in part]
        if "StringExpr" in tree.get("function", ()):
            kinds = [pl.String()]
        for kind in kinds if names else ():
            if kind in (pl.String, pl.Boolean) or kind.is_numeric():
                yield from ((name, pl.String if kind == pl.String else pl.Float64) for name in names)
        for part in tree.values():
            yield from _beside(part)


def _type_of(literal: dict[str, Any]) -> pl.DataType:
    """Return the type of a value, or of the values of a list."""
    kind = pl.select(pl.Expr.deserialize(io.StringIO(json.dumps(literal)), format="json")).to_series().dtype
    return kind.inner if isinstance(kind, pl.List) else kind  # type: ignore[return-value]


def _example(block: pl.DataFrame, names: Iterable[str]) -> str:
    """Return the name of a text column and one of its values that is no number, or an empty text."""
    for name in names:
        if block.schema[name] == pl.String:
            texts = block[name].filter(block[name].cast(pl.Float64, strict=False).is_null()).drop_nulls()
            if len(texts):
                return f"; column {quote(name)} is text, such as {quote(texts[0])}"
    return ""


def _fitting(values: pl.Series, kind: type[pl.DataType]) -> type[pl.DataType]:
    """Return the narrowest type (integer, float, text) that holds all values and is no narrower than `kind`."""
    if values.dtype != pl.String:
        return kind
    kinds, missing = (pl.Int64, pl.Float64, pl.String), values.null_count()
    wider = kinds[kinds.index(kind) :]
    return next(kind for kind in wider if values.cast(kind, strict=False).null_count() == missing)
