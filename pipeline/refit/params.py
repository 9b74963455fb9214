"""Section `final` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Positive, Section
from ..model.params import TrainParams


class FinalParams(Section):
    """How the chosen models are fitted again, on the held-out items too. There is no validation any more.

    params.yaml describes the keys.
    """

    fit: bool
    start: Literal["auto", "chosen", "new"] = "chosen"
    epochs: Positive
    rate: Annotated[float, Field(gt=0)]

    def new_for(self, chosen: TrainParams) -> bool:
        """Return whether new weights are trained.

        With `auto`, they are if residuals start at co-occurrence, as on sparse data, and the backbone is not
        pre-trained: a model's config does not record the folder of a pre-trained backbone.
        """
        if self.start != "auto":
            return self.start == "new"
        return chosen.residual_start == "co_occurrence" and not chosen.backbone.pretrained
