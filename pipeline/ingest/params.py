"""Section `ingest` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core.params import Md5, Positive, Section


class Counts(Section):
    """What a data set must hold, or ingest stops."""

    interactions: Positive
    users: Positive
    rated_items: Positive
    items: Positive


class IngestParams(Section):
    """Where the interactions come from."""

    dataset: Literal["movielens", "files", "sample"]
    archive: Annotated[str, Field(min_length=1)]
    """`movielens`: URL or path of an archive of MovieLens; its members tell which."""
    md5: Md5 | None
    expected: Counts | None
    interactions: Annotated[str, Field(min_length=1)] | None
    """`files`: path (or URL) of a table of user, item, timestamp; CSV or Parquet."""
    interactions_md5: Md5 | None
    items: Annotated[str, Field(min_length=1)] | None
    """`files`: path (or URL) of a table of items and their texts; CSV or Parquet."""
    items_md5: Md5 | None
    item_text: Annotated[str, Field(min_length=1)] | None
    """Path (or URL) of further text per item, for any data set; JSON, CSV or Parquet."""
    item_text_md5: Md5 | None
    candidates: Literal["interacted", "all"]
    """Items that may be ranked: those with an interaction, or all that are listed."""

    @model_validator(mode="after")
    def _complete(self) -> "IngestParams":
        for key in ("interactions", "items"):
            if self.dataset == "files" and getattr(self, key) is None:
                raise ValueError(f"dataset: files needs the path of a table, but {key} is null")
        return self
