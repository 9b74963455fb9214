"""Section `train` of params.yaml: the model and its training."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..core.params import Positive, Precision, Section, Seed, Share

if TYPE_CHECKING:  # numpy takes as long to import as half of all params
    import numpy as np
    from numpy.typing import NDArray

SPARSE = 64
"""Mean number of training interactions of a trained item, below which data is sparse (docs/decisions.md)."""


class BackboneParams(Section):
    """The recommendation LLM: a transformers decoder, from a config or pre-trained."""

    pretrained: str | None
    revision: str | None
    config: dict[str, Any]
    """`model_type` and keys of its config; ignored where `pretrained` is set."""
    tuning: Literal["full", "lora", "frozen"] = "full"
    """Which weights of a pre-trained decoder are trained: all, low-rank additions to its linear layers, or none."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of a pre-trained decoder's weights; null: the learning rate of all other weights."""

    @model_validator(mode="after")
    def _of_what_is_pretrained(self) -> "BackboneParams":
        if self.pretrained is None and (self.tuning != "full" or self.learning_rate is not None):
            raise ValueError("tuning and learning_rate are for a pre-trained backbone only; name one in pretrained")
        return self


class PoolingParams(Section):
    """How hidden states are pooled to the user state."""

    kind: Literal["mean", "last", "window", "recency"]
    window: Positive


class TrainParams(Section):
    """The recommendation LLM, its head and their training."""

    seed: Seed
    members: Positive = 1
    """Models that rank by their mean logits, trained with the seeds `seed`, `seed` + 1, …"""
    history: Annotated[int, Field(ge=2)]
    """Number of latest items that the model reads; training cuts longer histories into windows."""
    time: Literal["none", "gaps"] = "none"
    """Times that the model reads: none, or the gaps between the items of a history."""
    residual_width: Annotated[int, Field(ge=0)]
    """Width of the learned vector beside each item's frozen vector; 0: none."""
    residual_start: Literal["auto", "zero", "co_occurrence"] = "zero"
    """Initial residuals: zero (random for trained items of equal text), or from co-occurrence in training sequences."""
    residual_dropout: Share = 0.0
    """Share of items whose residual is zeroed in training, drawn separately for input and output."""
    input_dropout: Share
    backbone: BackboneParams
    pooling: PoolingParams
    keys: Literal["auto", "product", "unit"] = "product"
    """An item's score: the product of user state and item key, or this product with all keys scaled to one length."""
    loss: Literal["sampled_softmax", "softmax"]
    negatives: Positive
    epochs: Positive
    epoch_batches: Positive | None = None
    """Batches of an epoch at most, drawn at random, so that large data is validated as often as small data."""
    batch_windows: Positive
    """Most windows of a batch."""
    batch_positions: Positive | None = None
    """Most positions of a batch, padding included, so that long windows do not lead to few large steps."""
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    gradient_clip: Annotated[float, Field(gt=0)]
    average: Share
    """Decay per step of the running average of the weights, which is validated and kept; 0: the latest weights."""
    validate_every: Positive
    """Epochs between two validations."""
    validation_users: Positive | None = None
    """Users whose validation targets are ranked, at most, drawn at random."""
    patience: Positive
    """Training stops after this many validations without a better NDCG@10."""
    shrinkage: Annotated[float, Field(ge=0)] = 0.0
    """Prior s of the shrinkage after training: with n training interactions, n / (n + s) scales the residual and the
    deviation of the key's log-length (`training/shrinkage.py`). Kept if validation NDCG@10 improves; 0: off."""
    precision: Precision = "float32"
    """Precision of the products in training; weights, scores, loss and evaluation are float32."""
    processes: Positive = 1
    """Processes that share every batch."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model is trained; it is validated on the CPU."""

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
