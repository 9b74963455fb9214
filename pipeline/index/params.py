"""Section `index` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ..core.params import Section


class IndexParams(Section):
    """FAISS over the item vectors."""

    kind: Literal["auto", "flat", "ivf", "hnsw", "ivf_pq"]
    """`flat` is exact; `auto` chooses by the number of items."""
    exact_up_to: Annotated[int, Field(ge=0)]
    """Items up to which `auto` stays exact."""
    recall: Annotated[float, Field(gt=0, le=1)]
    """Share of the true 20 nearest items that an approximate index is tuned to find."""
