"""Text of an item by a template of its columns; missing values leave no stray words or punctuation."""

import re
from collections.abc import Sequence
from functools import cache

import polars as pl

from ..core.errors import ParamsError
from .params import PLACEHOLDER, placeholders

BRACKETS = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])")
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*|[.!?\n]+")
SENTENCE_PARTS = re.compile(r"(\s*)(.*?)([.!?\s]*)", re.DOTALL)
CLAUSE = re.compile(r"(^|[,;|/])([^,;|/]*)")
TIE = r"[\s:–—-]*"  # characters that tie a placeholder to its neighbour
STANDARD = ("title", "year", "genres")  # columns that a template may name even if the items have none of them


def render(items: pl.DataFrame, template: str) -> list[str]:
    """Fill the template's `{column}` placeholders for each item.

    Lists are joined by commas; white space in a value becomes single spaces. A value is missing if it is null, NaN,
    blank or an empty list. A part of the template whose placeholders are all missing is left out: brackets, a clause
    (up to `,` `;` `|` `/`) or a sentence. `{title} ({year}). Genres: {genres}.` without year and genres gives
    `Heat.`; an item without any value gives the empty text.

    Raises ``ParamsError`` if a placeholder is no column of `items` (`title`, `year` and `genres` are known anyway).
    """
    columns = placeholders(template)
    unknown = [column for column in columns if column not in (*items.columns, *STANDARD)]
    if unknown:
        remedy = f"use one of {', '.join(items.columns)}; a column that is read as title, year or genres has that name"
        raise ParamsError(f"{{{unknown[0]}}} is no column of the items", "template", remedy)
    absent = [pl.lit(None).alias(column) for column in columns if column not in items.columns]
    texts = []
    for row in items.with_columns(absent).select(columns).iter_rows():
        values = dict(zip(columns, map(_text, row), strict=True))
        present = _without(template, frozenset(column for column in columns if not values[column]))
        # One substitution for all values: braces and punctuation inside a value are not read as template.
        texts.append(PLACEHOLDER.sub(lambda match, values=values: values[match[1]], present))
    return texts


def render_fields(items: pl.DataFrame, templates: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Return the texts of each field, and each item's whole text: its fields, a line each.

    Raises ``ParamsError`` if no placeholder is a column, so that no item has a text.
    """
    fields = [render(items, template) for template in templates]
    names = [name for template in templates for name in placeholders(template)]
    if not set(names) & {*items.columns}:
        what = f"{', '.join(f'{{{name}}}' for name in names)}: the items have no such column"
        raise ParamsError(what, "template", f"use one of {', '.join(items.columns)}")
    return fields, ["\n".join(texts) for texts in zip(*fields, strict=True)]


def _text(value: object) -> str:
    """Return a value as text; a missing value is the empty text."""
    if value is None or value != value:  # null, NaN
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    return " ".join(str(value).split())


@cache
def _without(template: str, missing: frozenset[str]) -> str:
    """Return the template of the items that lack the columns `missing`."""
    if not missing:
        return template
    columns = placeholders(template)
    void = {str(number) for number, column in enumerate(columns) if column in missing}

    def is_void(part: str) -> bool:
        numbers = PLACEHOLDER.findall(part)
        return bool(numbers) and void.issuperset(numbers)

    gone = rf"\{{(?:{'|'.join(sorted(void))})\}}"
    tied = re.compile(rf"^(?:\s*{gone}{TIE})+|{TIE}{gone}")
    # Numbers instead of names, which may hold punctuation, such as `user.id`.
    numbered = PLACEHOLDER.sub(lambda match: f"{{{columns.index(match[1])}}}", template)
    text = BRACKETS.sub(lambda match: "" if is_void(match[0]) else match[0], numbered)
    kept = ""
    for sentence in SENTENCE.findall(text):
        if is_void(sentence):
            continue
        start, body, end = SENTENCE_PARTS.fullmatch(sentence).groups()  # type: ignore[union-attr]
        clauses = "".join(
            separator + tied.sub("", clause) for separator, clause in CLAUSE.findall(body) if not is_void(clause)
        )
        kept += start + re.sub(r"^[,;|/]\s*", "", clauses) + end
    return PLACEHOLDER.sub(lambda match: f"{{{columns[int(match[1])]}}}", kept.strip())
