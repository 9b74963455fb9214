"""Section `train` of params.yaml: the model and its training."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from ..core.params import Positive, Section, Seed, Share


class BackboneParams(Section):
    """The recommendation LLM: a decoder of transformers, from a config or pre-trained."""

    pretrained: str | None
    revision: str | None
    config: dict[str, Any]
    """`model_type` and the keys of that type's config; not read where `pretrained` is given."""


class PoolingParams(Section):
    """How the hidden states up to a position become the user there."""

    kind: Literal["mean", "last", "window", "recency"]
    window: Positive


class TrainParams(Section):
    """The recommendation LLM, its head, and how they are trained."""

    seed: Seed
    members: Positive = 1
    """Models that rank together by their mean logits, each as it would be alone with its seed: `seed`, `seed` + 1, …"""
    history: Annotated[int, Field(ge=2)]
    """Items of a history that are read at most; longer ones are cut into windows for training."""
    residual_width: Annotated[int, Field(ge=0)]
    """Width of the learned vector beside each item's frozen one; 0: frozen vectors only."""
    residual_dropout: Share = 0.0
    """Share of the items whose residual training leaves out, where they are read and where they are ranked."""
    input_dropout: Share
    backbone: BackboneParams
    pooling: PoolingParams
    loss: Literal["sampled_softmax", "softmax"]
    negatives: Positive
    epochs: Positive
    batch_windows: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    gradient_clip: Annotated[float, Field(gt=0)]
    average: Share
    """Decay, per step, of the running average of the weights, which is what is validated and kept; 0: the latest."""
    validate_every: Positive
    """Epochs between two validations."""
    patience: Positive
    """Validations without a better NDCG@10 after which training stops."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the model's products in training. Weights, scores and loss, what is kept and what is evaluated: float32."""
    processes: Positive = 1
    """Processes that share every batch."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What the model is trained on; its validation is computed on the CPU."""

    @field_validator("precision", mode="before")
    @classmethod
    def _no_float16(cls, value: object) -> object:
        if value == "float16":
            raise ValueError(
                "float16 ends at 65,504: T5 encoders overflow in it, and small gradients of a training vanish;"
                " bfloat16 is as small and has float32's range (items are encoded in float32, always)"
            )
        return value

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
