"""Section `tune` of params.yaml."""

from typing import Annotated

from pydantic import Field

from ..core.params import Positive, Section, Seed


class TuneParams(Section):
    """Tuning of the item LLM on training sequences."""

    seed: Seed
    epochs: Annotated[int, Field(ge=0)]  # passes over the items; 0: the item LLM stays as it is
    learning_rate: Annotated[float, Field(gt=0)]
    temperature: Annotated[float, Field(gt=0, le=1)]
    window: Positive  # largest distance between two items of a user that count as near
    batch_items: Annotated[int, Field(ge=2)]  # items that are contrasted in one step
