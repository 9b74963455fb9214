"""Conditions on the rows of a table: an SQL expression over its columns, evaluated a block at a time."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from .errors import DataError, ParamsError, quote

_REMEDY = (
    'write a condition on single rows, such as "Quantity > 0 AND CustomerID IS NOT NULL";'
    ' a column with the name of an SQL word needs quotes, such as "user"'
)
_TYPES = (
    "compare numbers with numbers, and text with 'text'; a decimal comma is text:"
    " CAST(REPLACE(price, ',', '.') AS DOUBLE) > 2"
)
_MULTI_ROW = {
    *("Agg", "Len", "Over", "Window", "SubPlan", "Rolling"),
    *("Sort", "SortBy", "Gather", "Slice", "Explode", "Quantile", "Correlation"),
}
"""Polars' expressions that look at more than one row; a table is read in blocks, so they would see one block."""
_SINGLE = {"Column", "Literal", "StringExpr", "ListExpr"}
"""Names, values, and functions of one text or one list, such as `Slice`."""


def parsed(text: str, where: str) -> pl.Expr:
    """Return the parsed expression; raise ``ParamsError``, at `where`, if it is malformed or needs several rows."""
    try:
        expression = pl.sql_expr(text)
        tree = json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise ParamsError(f"not an SQL expression ({str(error).splitlines()[0]})", where, _REMEDY) from None
    if several := _MULTI_ROW.intersection(_kinds(tree)):
        raise ParamsError(f"looks at more than one row ({', '.join(sorted(several))})", where, _REMEDY)
    return expression


def _kinds(tree: Any) -> Iterator[str]:
    """Yield the kinds of expressions in a tree, without the content of `_SINGLE`."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list | dict):
        for part in tree:
            yield from _kinds(part)
            if isinstance(tree, dict) and part not in _SINGLE:
                yield from _kinds(tree[part])


class Where:
    """A condition on rows.

    In a CSV file all columns are text, so a column whose values are all numbers is compared as numbers. If the
    expression does not allow that (`item_id = '7'`), all columns of text are compared as text.

    `blocks` are all blocks of the table, `where` is the expression's place in messages. Raises ``ParamsError`` if it is
    no condition on single rows, and ``DataError`` if it names a column that is not there.
    """

    def __init__(self, text: str, blocks: Iterable[pl.DataFrame], where: str) -> None:
        self._expression, self._where = parsed(text, where), where
        names = self._expression.meta.root_names()
        self._types: dict[str, type[pl.DataType]] = dict.fromkeys(names, pl.Int64)
        for block in blocks:
            for name in names:
                if name not in block.columns:
                    what = f"column {quote(name)} is missing; there are {', '.join(map(quote, block.columns[:20]))}"
                    remedy = "correct its name (upper and lower case count); a text has single quotes: 'buy'"
                    raise DataError(what, where, remedy)
            self._types = {name: _fitting(block[name], kind) for name, kind in self._types.items()}

    def keeps(self, block: pl.DataFrame) -> pl.Series:
        """Return whether each row meets the condition, bool; a row with an unknown result (null) does not.

        Raises ``DataError`` if the expression cannot be computed, or is no condition.
        """
        texts = [name for name in self._types if block.schema.get(name) == pl.String]
        numbers = block.with_columns(pl.col(name).cast(self._types[name]) for name in texts)
        try:
            kept = numbers.select(self._expression).to_series()
        except pl.exceptions.PolarsError as error:
            try:
                kept = block.select(self._expression).to_series()
            except pl.exceptions.PolarsError:
                what = f"cannot be computed ({str(error).splitlines()[0]}){_example(block, self._types)}"
                raise DataError(what, self._where, _TYPES) from None
        if kept.dtype != pl.Boolean:
            raise DataError(f"is of type {kept.dtype}, so no condition", self._where, _REMEDY)
        kept = kept.fill_null(False)
        return kept if len(kept) == len(block) else pl.repeat(kept[0], len(block), eager=True)


def _example(block: pl.DataFrame, types: Mapping[str, type[pl.DataType]]) -> str:
    """Return the name of a text column and one of its values that is no number, or an empty text."""
    for name, kind in types.items():
        if kind == pl.String and block.schema.get(name) == pl.String:
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
