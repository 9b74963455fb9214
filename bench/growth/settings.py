"""params.yaml of this folder."""

from pathlib import Path
from typing import Annotated, Any

from hierrec.core.params import Positive, Section
from hierrec.search.index_kinds import Kind
from pydantic import Field
from ruamel.yaml import YAML

HERE = Path(__file__).parent
Scale = Annotated[float, Field(gt=0)]


class CatalogueSettings(Section):
    """How vectors are generated."""

    topics: Positive
    topic_scale: Scale
    cluster_scale: Scale
    item_scale: Scale
    clusters: Scale
    growth: Scale
    power: Scale


class Settings(Section):
    """The whole of params.yaml; what each key means is said there."""

    seed: int
    dimension: Positive
    items: list[Positive]
    kinds: list[Kind]
    hnsw_up_to: Positive
    queries: Positive
    recall: Annotated[float, Field(gt=0, le=1)]
    texts: Positive
    train_up_to: Positive
    residual_widths: list[int]
    catalogue: CatalogueSettings


def load_settings(quick: bool, path: Path = HERE / "params.yaml") -> Settings:
    """Read params.yaml; `quick` takes the small numbers under that key."""
    document: dict[str, Any] = YAML(typ="safe").load(path.read_text("utf-8"))
    small = document.pop("quick")
    return Settings.model_validate(document | (small if quick else {}))
