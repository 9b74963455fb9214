"""Texts without HTML entities and stray white space."""

import html
import re

import polars as pl

_ENTITY = r"&#?\w+;"


def unescaped(text: str) -> str:
    """Return a text with characters instead of HTML entities (`&` instead of `&amp;`)."""
    return re.sub(_ENTITY, lambda entity: html.unescape(entity[0]), text)


def cleaned(values: pl.Series) -> pl.Series:
    """Return texts, or lists of texts, without entities and with single spaces; another column as it is.

    A blank text becomes null, or is left out of its list.
    """
    if isinstance(values.dtype, pl.List):
        if values.dtype.inner != pl.String:
            return values
        if values.list.join(" ").str.contains(_ENTITY).any():
            rows = [
                None if row is None else [unescaped(text) for text in row if text is not None]
                for row in values.to_list()
            ]
            values = pl.Series(values.name, rows, values.dtype)
        return values.list.eval(_one_space(pl.element()).drop_nulls())
    if values.dtype != pl.String:
        return values
    escaped = values.str.contains(_ENTITY).fill_null(False)
    if escaped.any():
        values = values.scatter(escaped.arg_true(), [unescaped(text) for text in values.filter(escaped)])
    return values.to_frame().select(_one_space(pl.col(values.name))).to_series()


def _one_space(texts: pl.Expr) -> pl.Expr:
    # Python's str.split() splits at the separators below the space too, which Unicode does not call white.
    single = texts.str.replace_all(r"[\s\x1c-\x1f]+", " ").str.strip_chars(" ")
    return pl.when(single != "").then(single)
