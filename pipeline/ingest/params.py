"""Section `ingest` of params.yaml."""

import codecs
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
    """Numbers that a data set must have, or ingest stops."""

    interactions: Positive
    users: Positive
    rated_items: Positive
    items: Positive


class RowParams(Section):
    """Filters of interactions, for any data set."""

    min_rating: float | None = None  # interactions with a lower rating are left out
    min_user_interactions: Positive | None = None  # users with fewer interactions are left out
    min_item_interactions: Positive | None = None  # items with fewer interactions are left out


class TableParams(RowParams):
    """How the tables of `dataset: files` are read."""

    separator: Name | None = None
    """Separator of the columns of text files; None: it is detected."""
    encoding: str = "utf-8"
    """Encoding of text files."""
    columns: dict[Role, Name | Positive | None] | None = None
    """Names of the columns that play a role, or their places where a table has no line of names."""
    item_columns: dict[ItemRole, Name | Positive | None] | None = None
    """The same for the table of items; None: names in `columns` are those of both tables."""
    time_format: Name | None = None
    """Format, in the notation of chrono, of timestamps that are text or whole numbers such as 20231231; None: ISO 8601,
    or numbers that count units of time."""
    where: Name | None = None
    """SQL expression over the columns of the interactions; rows for which it is not true are left out."""
    item_rows: Literal["refuse", "first", "last", "longest"] = "refuse"
    """Which text of each column is kept where an item has several rows."""
    clean_text: bool = True
    """Whether HTML entities in texts become characters, and runs of white space one space."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError(f"{value} is no encoding that Python knows") from None

    @model_validator(mode="after")
    def _columns_agree(self) -> "TableParams":
        both = (("columns", self.given, self.needed), ("item_columns", self.given_of_items, ("item",)))
        for key, given, needed in both:
            if len({type(value) for value in given.values() if value is not None}) > 1:
                raise ValueError(f"{key}: name all of them, or give the places of all of them")
            for role in needed:
                if given.get(role, "") is None:
                    raise ValueError(f"{key}: {role} cannot be left out")
                if _places(given) and role not in given:
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
        return {role: name for role, name in (self.columns or {}).items()}

    @property
    def given_of_items(self) -> dict[str, str | int | None]:
        """`item_columns`, or where it is null the names of `columns`."""
        if self.item_columns is None:
            return {} if self.by_place else self.given
        return {role: name for role, name in self.item_columns.items()}

    @property
    def by_place(self) -> bool:
        """Whether the table of interactions has no line of names."""
        return _places(self.given)

    @property
    def items_by_place(self) -> bool:
        """Whether the table of items has no line of names."""
        return _places(self.given_of_items)


def _places(given: Given) -> bool:
    return any(isinstance(value, int) for value in given.values())


class IngestParams(TableParams):
    """Where the interactions come from."""

    dataset: Literal["movielens", "files", "sample"]
    archive: Name
    """`movielens`: URL or path of an archive of MovieLens; its members tell which."""
    md5: Md5 | None
    expected: Counts | None
    interactions: Name | None
    """`files`: path (or URL), folder or pattern of the table of user, item, timestamp."""
    interactions_md5: Md5 | None
    items: Name | None
    """`files`: the same for the table of items and their texts; None: the items are those of the interactions."""
    items_md5: Md5 | None
    item_text: Name | None
    """Path (or URL) of further text per item, for any data set; JSON, CSV or Parquet."""
    item_text_md5: Md5 | None
    repeats: Literal["keep", "first", "last", "refuse"] = "keep"
    """`files`: which interactions count where a user has several with one item."""
    split: Literal["leave_one_out", "time"] = "leave_one_out"
    """How targets are held out: the last two interactions of each user, or interactions after two points in time."""
    targets: Literal["first", "all"] = "first"
    """`time`: which interactions of a user after a cut are targets."""
    validation_from: Cut = 0.8
    """`time`: start of the validation: a share of the interactions (below 1), a timestamp or a date."""
    test_from: Cut = 0.9
    """`time`: start of the test, likewise."""
    candidates: Literal["interacted", "all"]
    """Items that may be ranked: those with an interaction (`time`: before the cut), or all."""

    @model_validator(mode="after")
    def _complete(self) -> "IngestParams":
        if self.dataset == "files" and self.interactions is None:
            raise ValueError("dataset: files needs the path of a table, but interactions is null")
        if self.targets == "all" and self.split != "time":
            raise ValueError("targets: all is for split: time; leave_one_out has one target of a user")
        if self.dataset != "files" and self.where is not None:
            raise ValueError("where: is for dataset: files; others have min_rating and min_…_interactions")
        return self
