"""Section `final` of params.yaml."""

from typing import Annotated

from pydantic import Field

from ..core.params import Positive, Section


class FinalParams(Section):
    """How the chosen models are trained further, on the held-out items too."""

    fit: bool
    """False: the stages run and write that there is no such model."""
    epochs: Positive
    """Of the further training, from the chosen weights on; there is no validation any more."""
    rate: Annotated[float, Field(gt=0)]
    """Its learning rate, as a share of `train.learning_rate`."""
