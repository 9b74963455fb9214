"""The whole of params.yaml: the first stage checks it before any other stage runs."""

from pathlib import Path

from pydantic import model_validator

from ..core.params import Section, read_params
from ..encode.params import EncodeParams
from ..evaluation.params import EvaluateParams
from ..index.params import IndexParams
from ..ingest.params import IngestParams
from ..model.params import TrainParams
from ..rag.params import FusionParams
from ..refit.params import FinalParams
from ..tune.params import TuneParams


class Params(Section):
    """The whole of params.yaml."""

    ingest: IngestParams
    tune: TuneParams
    encode: EncodeParams
    index: IndexParams
    train: TrainParams
    fusion: FusionParams
    final: FinalParams
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _fits_again(self) -> "Params":
        if self.final.start == "new" and self.train.backbone.pretrained:
            raise ValueError("final.start: new is not for a pre-trained backbone; set it to auto or chosen")
        return self


def load_params(path: Path) -> Params:
    """Read and check params.yaml; raises as ``read_params`` does."""
    return read_params(path, Params)
