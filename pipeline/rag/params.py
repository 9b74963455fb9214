"""Section `fusion` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core.errors import ParamsError
from ..core.params import Positive, Section


class Lookup(Section):
    """Settings of a datastore's search. params.yaml describes the keys."""

    shortlist: Positive
    overlap: Annotated[float, Field(ge=0, le=1)]
    neighbours: Positive
    following: Positive
    preceding: Annotated[int, Field(ge=0)]


class FusionParams(Lookup):
    """The rag variant: its sources, and the training of the fusion. params.yaml describes the keys."""

    sources: Annotated[
        tuple[Literal["next_items", "items", "co_occurring", "history", "trending"], ...],
        Field(min_length=1, strict=False),
    ]
    prefixes: Positive | None = None
    item_neighbours: Positive
    recent_items: Positive
    users: Positive
    steps: Positive
    batch_users: Positive
    learning_rate: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _distinct(self) -> "FusionParams":
        if len(set(self.sources)) != len(self.sources):
            raise ValueError("sources names one source twice")
        if self.neighbours > self.shortlist:
            raise ValueError(f"neighbours {self.neighbours} are kept of a shortlist of only {self.shortlist}")
        return self

    def for_data(self, repeated: bool, timed: bool) -> "FusionParams":
        """Return the params for this data; raise ``ParamsError`` if no source is left.

        Source `history` is left out unless users take items again (`repeated`), `trending` unless the order in time of
        all items is known (`timed`).
        """
        usable = {"history": repeated, "trending": timed}
        left = self.without(*(name for name in usable if not usable[name]))
        if not left.sources:
            what = f"this data has nothing to retrieve for source {' and '.join(self.sources)}"
            raise ParamsError(what, "params.yaml, key fusion.sources", "name another source too")
        return left

    def without(self, *names: str) -> "FusionParams":
        """Return the params without these sources."""
        return self.model_copy(update={"sources": tuple(name for name in self.sources if name not in names)})
