"""Section `fusion` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core.params import Positive, Section


class FusionParams(Section):
    """Retrieval-augmented variant: what is retrieved, and how the fusion is learned."""

    sources: Annotated[tuple[Literal["next_items", "items"], ...], Field(min_length=1, strict=False)]
    shortlist: Positive
    """Remembered prefixes with the nearest states, per user, that are ranked again together with their histories."""
    overlap: Annotated[float, Field(ge=0, le=1)]
    """Weight of the histories in that ranking; the rest is the states'."""
    neighbours: Positive
    """Remembered prefixes that are kept of the shortlist."""
    following: Positive
    """Items taken from a remembered prefix: the one that came next, and those after it."""
    preceding: Annotated[int, Field(ge=0)]
    """Items taken from before its end."""
    item_neighbours: Positive
    """Similar items retrieved per item of the recent history."""
    recent_items: Positive
    """Items of the recent history that are looked up."""
    epochs: Positive
    batch_users: Positive
    learning_rate: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _distinct(self) -> "FusionParams":
        if len(set(self.sources)) != len(self.sources):
            raise ValueError("sources names one source twice")
        if self.neighbours > self.shortlist:
            raise ValueError(f"neighbours {self.neighbours} are kept of a shortlist of only {self.shortlist}")
        return self
