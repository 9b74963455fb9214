"""Section `fusion` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..core.params import Positive, Section


class FusionParams(Section):
    """The rag variant: its sources, and the training of the fusion."""

    sources: Annotated[tuple[Literal["next_items", "items"], ...], Field(min_length=1, strict=False)]
    shortlist: Positive
    """Datastore entries with the nearest keys, which are ranked again by states and histories."""
    overlap: Annotated[float, Field(ge=0, le=1)]
    """Weight of the histories in that ranking; the states have the rest."""
    neighbours: Positive
    """Entries of the shortlist that are kept."""
    following: Positive
    """Items taken from an entry: its next item and those after it."""
    preceding: Annotated[int, Field(ge=0)]
    """Items taken from the end of an entry's prefix."""
    item_neighbours: Positive
    """Similar items retrieved per item of the recent history."""
    recent_items: Positive
    """Latest items of the history that are looked up."""
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
