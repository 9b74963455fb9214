"""Read params.yaml of this folder."""

from pathlib import Path
from typing import Annotated, Any

from hierrec.core.params import Positive, Section
from hierrec.search.index_files import Kind
from pydantic import Field
from ruamel.yaml import YAML

HERE = Path(__file__).parent
Scale = Annotated[float, Field(gt=0)]


class CatalogueSettings(Section):
    """Settings of the generated vectors."""

    topics: Positive
    topic_scale: Scale
    cluster_scale: Scale
    item_scale: Scale
    clusters: Scale
    growth: Scale
    power: Scale


class Settings(Section):
    """All of params.yaml, which describes each key."""

    seed: int
    dimension: Positive
    items: list[Positive]
    kinds: list[Kind]
    hnsw_up_to: Positive
    queries: Positive
    recall: Annotated[float, Field(gt=0, le=1)]
    texts: Positive
    train_up_to: Positive
    steps: Positive
    residual_widths: list[int]
    catalogue: CatalogueSettings


def load_settings(quick: bool, path: Path = HERE / "params.yaml") -> Settings:
    """Read params.yaml; with `quick`, the values under its key `quick` apply."""
    document: dict[str, Any] = YAML(typ="safe").load(path.read_text("utf-8"))
    small = document.pop("quick")
    return Settings.model_validate(document | (small if quick else {}))
