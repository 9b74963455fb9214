"""Section `index` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Section


class IndexParams(Section):
    """FAISS over the item vectors. params.yaml describes the keys."""

    kind: Literal["auto", "flat", "ivf", "hnsw", "ivf_pq"]
    exact_up_to: Annotated[int, Field(ge=0)]
    recall: Annotated[float, Field(gt=0, le=1)]
