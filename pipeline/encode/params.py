"""Section `encode` of params.yaml."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Positive, Section
from .model_files import CONFIG


class EncodeParams(Section):
    """The item LLM: text in, one frozen vector per item out."""

    model: Annotated[str, Field(min_length=1)]
    """`t5-nano` (bundled), a model id of a hub, or a path."""
    revision: str | None
    template: Annotated[str, Field(min_length=1)]
    max_length: Annotated[int, Field(ge=2)]
    """Most tokens of a text; the rest is cut."""
    batch_tokens: Positive
    whitening_dimension: Positive | None
    """Dimensions kept by PCA whitening; null: vectors are centred only."""
    shard_rows: Positive | None = None
    """Items of a shard of the store; null: a plain store."""
    engine: Literal["local", "ray"] = "local"
    workers: Positive | None = None
    """Processes of engine `ray`; null: one per processor of the cluster, or per GPU with `device: cuda`."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device that computes the vectors; those of a GPU differ in their last bits."""

    def tuned(self, folder: Path) -> "EncodeParams":
        """Return these params with the item LLM that stage `tune` wrote into `folder`, if it has tuned one."""
        there = (folder / CONFIG).is_file()
        return self.model_copy(update={"model": str(folder), "revision": None}) if there else self
