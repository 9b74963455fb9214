"""Section `encode` of params.yaml."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ..core.params import Positive, Precision, Section
from .model_files import CONFIG

Pooling = Literal["mean", "last"]
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def placeholders(template: str) -> list[str]:
    """Return the placeholders, each once."""
    return list(dict.fromkeys(PLACEHOLDER.findall(template)))


def _checked(template: str) -> str:
    if re.search(r"[{}]", PLACEHOLDER.sub("", template)):
        raise ValueError(f"a brace stands alone in {template!r}; write columns as {{title}}")
    if not PLACEHOLDER.search(template):
        raise ValueError(f"{template!r} has no placeholder, so all items would have one text; write e.g. {{title}}")
    return template


Template = Annotated[str, AfterValidator(_checked)]


class EncodeParams(Section):
    """The item LLM: text in, one frozen vector per item out. params.yaml describes the keys."""

    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    template: Template | Annotated[list[Template], Field(min_length=1)]
    pooling: Pooling = "mean"
    precision: Precision = "float32"
    max_length: Annotated[int, Field(ge=2)]
    batch_tokens: Positive
    whitening_dimension: Positive | list[Positive | None] | None
    shard_rows: Positive | None = None
    engine: Literal["local", "ray"] = "local"
    workers: Positive | None = None
    device: Literal["cpu", "cuda"] = "cpu"

    @field_validator("whitening_dimension")
    @classmethod
    def _one_for_each_template(cls, dimension: Any, info: ValidationInfo) -> Any:
        template = info.data.get("template", dimension)  # absent if the template itself was refused
        counts = [len(value) if isinstance(value, list) else None for value in (template, dimension)]
        if counts[0] != counts[1]:
            raise ValueError("template and whitening_dimension are lists of one length, or neither is a list")
        return dimension

    @property
    def templates(self) -> list[str]:
        """The template of each field."""
        return self.template if isinstance(self.template, list) else [self.template]

    @property
    def dimensions(self) -> list[int | None]:
        """The number of dimensions that whitening keeps for each field."""
        one = self.whitening_dimension
        return list(one) if isinstance(one, list) else [one]

    def tuned(self, folder: Path) -> "EncodeParams":
        """Return these params with the item LLM that stage `tune` wrote into `folder`, if it has tuned one."""
        there = (folder / CONFIG).is_file()
        return self.model_copy(update={"model": str(folder), "revision": None}) if there else self
