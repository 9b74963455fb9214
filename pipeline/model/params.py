"""Section `train` of params.yaml: the model and its training."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..core.params import Positive, Precision, Section, Seed, Share

if TYPE_CHECKING:  # numpy takes as long to import as half of all params
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["mean", "last", "window", "recency"]  # of pooling
SPARSE = 64
"""Mean number of training interactions of a trained item, below which data is sparse (docs/decisions.md)."""


class BackboneParams(Section):
    """The recommendation LLM: a transformers decoder, from a config or pre-trained.

    params.yaml describes the keys.
    """

    pretrained: str | None
    revision: str | None
    config: dict[str, Any]
    tuning: Literal["full", "lora", "frozen"] = "full"
    learning_rate: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _of_what_is_pretrained(self) -> "BackboneParams":
        if self.pretrained is None and (self.tuning != "full" or self.learning_rate is not None):
            raise ValueError("tuning and learning_rate are for a pre-trained backbone only; name one in pretrained")
        return self


class PoolingParams(Section):
    """How hidden states are pooled to the user state. params.yaml describes the keys."""

    kind: Kind
    window: Positive


class TrainParams(Section):
    """The recommendation LLM, its head and their training. params.yaml describes the keys."""

    seed: Seed
    members: Positive = 1
    history: Annotated[int, Field(ge=2)]
    time: Literal["none", "gaps"] = "none"
    residual_width: Annotated[int, Field(ge=0)]
    residual_start: Literal["auto", "zero", "co_occurrence"] = "zero"
    residual_dropout: Share = 0.0  # drawn separately for input and output
    input_dropout: Share
    backbone: BackboneParams
    pooling: PoolingParams
    keys: Literal["auto", "product", "unit"] = "product"
    loss: Literal["sampled_softmax", "softmax"]
    negatives: Positive
    epochs: Positive
    epoch_batches: Positive | None = None  # so that large data is validated as often as small data
    batch_windows: Positive
    batch_positions: Positive | None = None  # so that long windows do not lead to few large steps
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    gradient_clip: Annotated[float, Field(gt=0)]
    average: Share
    validate_every: Positive
    validation_users: Positive | None = None
    patience: Positive
    shrinkage: Annotated[float, Field(ge=0)] = 0.0
    precision: Precision = "float32"
    processes: Positive = 1
    device: Literal["cpu", "cuda"] = "cpu"

    def for_data(self, counts: "NDArray[np.int64]") -> "TrainParams":
        """Decide `keys` and `residual_start` where they are `auto`, by the training interactions of items, int64 [n].

        If trained items have fewer than `SPARSE` interactions in the mean, keys have one length and residuals start at
        co-occurrence.
        """
        sparse = counts.sum() < SPARSE * (counts > 0).sum()
        keys, start = ("unit", "co_occurrence") if sparse else ("product", "zero")
        decided = {"keys": keys, "residual_start": start}
        return self.model_copy(update={key: to for key, to in decided.items() if getattr(self, key) == "auto"})

    def with_rate(self, learning_rate: float) -> "TrainParams":
        """Return the params with this learning rate; a pre-trained backbone's own rate changes by the same factor."""
        own = self.backbone.learning_rate
        scaled = None if own is None else own * learning_rate / self.learning_rate
        backbone = self.backbone.model_copy(update={"learning_rate": scaled})
        return self.model_copy(update={"learning_rate": learning_rate, "backbone": backbone})

    @field_validator("processes")
    @classmethod
    def _enough_windows(cls, processes: int, info: ValidationInfo) -> int:
        windows = info.data.get("batch_windows", processes)
        if processes > windows:
            raise ValueError(
                f"{processes} processes cannot share batches of {windows} windows;"
                " lower it, or raise train.batch_windows"
            )
        return processes
