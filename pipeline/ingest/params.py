"""Section `ingest` of params.yaml."""

import codecs
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..core.params import Md5, Positive, Section
from .columns import EXACT, Given

Cut = Annotated[float, Field(gt=0)] | Annotated[str, Field(min_length=1)]
"""A share of the interactions below 1, a timestamp, or a date (ISO 8601, UTC)."""
Name = Annotated[str, Field(min_length=1)]
Role = Literal["user", "item", "timestamp", "rating", "title", "year", "genres"]
ItemRole = Literal["item", "title", "year", "genres"]


class Counts(Section):
    """Numbers that a data set must have, or ingest stops. params.yaml describes the keys."""

    interactions: Positive
    users: Positive
    rated_items: Positive
    items: Positive


class TableParams(Section):
    """How the tables of `dataset: files` are read, and which interactions of any data set count.

    params.yaml describes the keys.
    """

    separator: Name | None = None
    encoding: str = "utf-8"
    columns: dict[Role, Name | Positive | None] | None = None
    item_columns: dict[ItemRole, Name | Positive | None] | None = None
    time_format: Name | None = None
    where: Name | None = None
    item_rows: Literal["refuse", "first", "last", "longest"] = "refuse"
    clean_text: bool = True
    min_rating: float | None = None
    min_user_interactions: Positive | None = None
    min_item_interactions: Positive | None = None
    repeats: Literal["keep", "first", "last", "refuse"] = "keep"

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            "".encode(value)
            return codecs.lookup(value).name
        except LookupError:  # also for codecs such as hex, which encode no text
            raise ValueError(f"{value} is no encoding of text that Python knows") from None

    @model_validator(mode="after")
    def _columns_agree(self) -> "TableParams":
        both = (("columns", self.given, self.needed), ("item_columns", self.given_of_items, ("item",)))
        for key, given, needed in both:
            if len({type(value) for value in given.values() if value is not None}) > 1:
                raise ValueError(f"{key}: name all of them, or give the places of all of them")
            for role in needed:
                if given.get(role, "") is None:
                    raise ValueError(f"{key}: {role} cannot be left out")
                if by_place(given) and role not in given:
                    raise ValueError(f"{key}: {role} needs a place too")
        if self.item_columns is not None and (texts := [role for role in self.given if role in EXACT]):
            raise ValueError(f"columns: {texts[0]} is a column of items, move it to item_columns")
        return self

    @property
    def needed(self) -> tuple[Role, ...]:
        """Roles that the table of interactions must have."""
        rated: tuple[Role, ...] = ("user", "item", "timestamp", "rating")
        return rated[:3] if self.min_rating is None else rated

    @property
    def given(self) -> dict[str, str | int | None]:
        """`columns`, empty where it is null."""
        return {} if self.columns is None else {**self.columns}

    @property
    def given_of_items(self) -> dict[str, str | int | None]:
        """`item_columns`, or where it is null the names of `columns`."""
        if self.item_columns is None:
            return {} if by_place(self.given) else self.given
        return {**self.item_columns}


def by_place(given: Given) -> bool:
    """Return whether columns are given by their numbers, as in a table without a line of names."""
    return any(isinstance(value, int) for value in given.values())


class IngestParams(TableParams):
    """Where the interactions come from. params.yaml describes the keys."""

    dataset: Literal["movielens", "files", "sample"]
    archive: Name
    md5: Md5 | None
    expected: Counts | None
    interactions: Name | None
    interactions_md5: Md5 | None
    items: Name | None
    items_md5: Md5 | None
    item_text: Name | None
    item_text_md5: Md5 | None
    split: Literal["leave_one_out", "time"] = "leave_one_out"
    targets: Literal["first", "all"] = "first"
    validation_from: Cut = 0.8
    test_from: Cut = 0.9
    candidates: Literal["interacted", "all"]

    @model_validator(mode="after")
    def _complete(self) -> "IngestParams":
        if self.dataset == "files" and self.interactions is None:
            raise ValueError("dataset: files needs the path of a table, but interactions is null")
        if self.targets == "all" and self.split != "time":
            raise ValueError("targets: all is for split: time; leave_one_out has one target of a user")
        first, second = self.validation_from, self.test_from
        for key, cut in (("validation_from", first), ("test_from", second)):
            if isinstance(cut, str):
                try:
                    datetime.fromisoformat(cut)
                except ValueError:
                    raise ValueError(f"{key}: {cut!r} is not a date; write it as 2011-10-01") from None
        if self.split == "time" and isinstance(first, float) and isinstance(second, float):
            shares_or_timestamps = (first < 1) == (second < 1)
            if shares_or_timestamps and first > second:
                raise ValueError("validation_from is the earlier cut, so it cannot be greater than test_from")
        for key in ("interactions", "items", "where") if self.dataset != "files" else ():
            if getattr(self, key) is not None:
                raise ValueError(f"{key}: is for dataset: files; set dataset to files, or {key} to null")
        return self
