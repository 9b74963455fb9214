"""Section `tune` of params.yaml."""

from typing import Annotated

from pydantic import Field

from ..core.params import Positive, Section, Seed


class TuneParams(Section):
    """Tuning of the item LLM on training sequences. params.yaml describes the keys."""

    seed: Seed
    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    temperature: Annotated[float, Field(gt=0, le=1)]
    window: Positive
    batch_items: Annotated[int, Field(ge=2)]
