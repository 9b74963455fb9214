"""The scorer of a trained model over its inputs. A module of its own: `inputs` is imported without torch."""

from pathlib import Path

import torch

from .checkpoint import load_model
from .inputs import Inputs
from .scorer import Scorer


def load_scorer(folder: Path, inputs: Inputs, dtype: torch.dtype = torch.float64) -> Scorer:
    """Read a model of variant `hierarchical` as a scorer; raises as `load_model`."""
    model = load_model(folder, inputs.frozen, inputs.store_hash)
    return Scorer(model, inputs.candidates, dtype=dtype, sequences=inputs.sequences)
