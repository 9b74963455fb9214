"""Item metadata to text, by a template whose missing values leave no debris."""

import re
from functools import cache

import polars as pl

from ..core.errors import ParamsError

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
BRACKETS = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])")
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*|[.!?\n]+")
SENTENCE_PARTS = re.compile(r"(\s*)(.*?)([.!?\s]*)", re.DOTALL)
CLAUSE = re.compile(r"(^|[,;|/])([^,;|/]*)")
STANDARD = ("title", "year", "genres")
"""Columns that every data set of the pipeline has; an item may lack each of them."""
TIE = r"[\s:–—-]*"


def render(items: pl.DataFrame, template: str) -> list[str]:
    """Fill the template's `{column}` placeholders for each item.

    Any column of `items` is a placeholder, and so are `title`, `year` and `genres`, whether there is such a column or
    not. Lists are joined by commas, and white space in a value becomes single spaces. A value is missing if it is
    null, NaN, blank or an empty list. Then the part of the template that says nothing without it goes too: the
    brackets round it, its clause (up to `,` `;` `|` `/`), its whole sentence. `{title} ({year}). Genres: {genres}.`
    without year and genres is `Heat.`; an item without any value has the empty text.

    Args:
        items: one row per item.
        template: text with placeholders.

    Returns:
        One text per item, in the order of `items`.

    Raises:
        ParamsError: a placeholder is no column of `items`, there is none, or a brace stands alone.
    """
    columns = placeholders(template)
    unknown = [column for column in columns if column not in (*items.columns, *STANDARD)]
    if unknown:
        raise ParamsError(
            f"{{{unknown[0]}}} is no column of the items",
            "template",
            f"use one of {', '.join(items.columns)}",
        )
    values = [
        [_text(value) for value in items[column].to_list()] if column in items.columns else [""] * len(items)
        for column in columns
    ]
    return [_fill(template, dict(zip(columns, row, strict=True))) for row in zip(*values, strict=True)]


def placeholders(template: str) -> list[str]:
    """Return the template's placeholders, each once, in order.

    Raises:
        ParamsError: there is none, or a brace stands alone.
    """
    columns = list(dict.fromkeys(PLACEHOLDER.findall(template)))
    if re.search(r"[{}]", PLACEHOLDER.sub("", template)):
        raise ParamsError(f"a brace stands alone in {template!r}", "template", "write columns as {title}")
    if not columns:
        raise ParamsError(
            f"{template!r} has no placeholder, so all items would have one text",
            "template",
            "write e.g. {title}",
        )
    return columns


def _text(value: object) -> str:
    """Return a value as text; missing values are the empty text."""
    if value is None or value != value:  # null, NaN
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    return " ".join(str(value).split())


def _fill(template: str, values: dict[str, str]) -> str:
    missing = frozenset(column for column, value in values.items() if not value)
    # One substitution for all values: braces and punctuation inside a value are never read as template.
    return PLACEHOLDER.sub(lambda match: values[match[1]], _without(template, missing))


@cache
def _without(template: str, missing: frozenset[str]) -> str:
    """Return the template for items that lack the columns `missing`."""
    if not missing:
        return template
    text = BRACKETS.sub(lambda match: "" if _is_void(match[0], missing) else match[0], template)
    sentences = [sentence for sentence in SENTENCE.findall(text) if not _is_void(sentence, missing)]
    return "".join(_without_in_sentence(sentence, missing) for sentence in sentences).strip()


def _without_in_sentence(sentence: str, missing: frozenset[str]) -> str:
    """Drop the void clauses of a sentence that says something, each with the separator before it."""
    start, body, end = SENTENCE_PARTS.fullmatch(sentence).groups()  # type: ignore[union-attr]
    clauses = [
        (separator, _without_in_clause(clause, missing))
        for separator, clause in CLAUSE.findall(body)
        if not _is_void(clause, missing)
    ]
    kept = "".join(separator + clause for separator, clause in clauses)
    return start + re.sub(r"^[,;|/]\s*", "", kept) + end


def _without_in_clause(clause: str, missing: frozenset[str]) -> str:
    """Drop missing placeholders, each with the dash, colon or space that ties it to its neighbour."""
    for column in missing:
        clause = re.sub(rf"^\s*{{{re.escape(column)}}}{TIE}", "", clause)
        clause = re.sub(rf"{TIE}{{{re.escape(column)}}}", "", clause)
    return clause


def _is_void(part: str, missing: frozenset[str]) -> bool:
    """Whether a part of the template has placeholders, all of them missing."""
    columns = PLACEHOLDER.findall(part)
    return bool(columns) and missing.issuperset(columns)
