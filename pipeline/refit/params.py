"""Section `final` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Positive, Section
from ..model.params import TrainParams


class FinalParams(Section):
    """How the chosen models are fitted again, on the held-out items too. There is no validation any more."""

    fit: bool
    """False: the stages run and write that there is no such model."""
    start: Literal["auto", "chosen", "new"] = "chosen"
    """What is trained: the chosen weights further, or new weights for as many epochs as validation chose."""
    epochs: Positive
    """Epochs of the further training of the chosen weights."""
    rate: Annotated[float, Field(gt=0)]
    """Learning rate of the further training, as a share of `train.learning_rate`."""

    def new_for(self, chosen: TrainParams) -> bool:
        """Return whether new weights are trained.

        With `auto`, they are if residuals start at co-occurrence, as on sparse data, and the backbone is not
        pre-trained: a model's config does not record the folder of a pre-trained backbone.
        """
        if self.start != "auto":
            return self.start == "new"
        return chosen.residual_start == "co_occurrence" and not chosen.backbone.pretrained
