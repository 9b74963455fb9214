"""Section `encode` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Positive, Section


class EncodeParams(Section):
    """The item LLM: text in, one frozen vector per item out."""

    model: Annotated[str, Field(min_length=1)]
    """`t5-nano` (bundled), a model id of a hub, or a path."""
    revision: str | None
    template: Annotated[str, Field(min_length=1)]
    max_length: Annotated[int, Field(ge=2)]
    """Tokens of a text that are read; the rest is cut."""
    batch_tokens: Positive
    whitening_dimension: Positive | None
    """Dimensions kept by PCA whitening; null: vectors are centred only."""
    shard_rows: Positive | None = None
    """Items of a shard of the store; null: everything in one file."""
    engine: Literal["local", "ray"] = "local"
    workers: Positive | None = None
    """`ray`: processes that encode; null: as many as the cluster has processors (of `device: cuda`: GPUs)."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What vectors are computed on; a GPU's differ in their last bits."""
