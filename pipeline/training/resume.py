"""Interrupted training goes on: the state after an epoch, kept outside the stage's outs and keyed on content."""

import hashlib
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn

from ..core.files import atomic_path, sha256_json
from ..data.sequences import Sequences
from ..model.checkpoint import state_of
from ..model.ensemble import UserModel
from ..model.params import TrainParams

KEPT = 30 * 24 * 3600
"""Seconds for which the state of an interrupted training is kept."""

DIGEST = hashlib.sha256().digest_size


@dataclass
class Progress:
    """How far training has come.

    Attributes:
        epoch: epochs that are done.
        steps: steps that each member has made.
        curve: one record per validation.
        best: state of the best model so far.
        best_metric: its validation NDCG@10.
        stale: validations since then.
    """

    epoch: int = 0
    steps: list[int] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_metric: float = -1.0
    stale: int = 0


def training_key(
    model: UserModel,
    sequences: Sequences,
    candidates: NDArray[np.bool_],
    params: TrainParams,
    code: list[str],
) -> str:
    """Hash all that determines a training, so that only the very same one is ever resumed.

    Args:
        model: untrained, on the CPU; its weights stand for seed, shape and a pre-trained backbone, whose config counts
            too, its frozen vectors for the store.
        sequences: the data and its split.
        candidates: bool [n], items that validation ranks.
        params: section `train`.
        code: hashes of the code that trains.
    """
    config = model.members[0].backbone.config.to_json_string(use_diff=False)
    versions = [torch.__version__, transformers.__version__]
    digest = hashlib.sha256(sha256_json([params.model_dump(mode="json"), config, code, versions]).encode())
    for tensor in [*model.parameters(), *model.buffers()]:
        digest.update(tensor.detach().numpy().tobytes())
    for array in (*vars(sequences).values(), candidates):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class TrainingState:
    """One file, `<key>.state`: a SHA-256, then weights, their average, optimizer moments, best weights and progress.

    States that nobody has written for `KEPT` are removed: their trainings were given up, or their code has changed.

    Args:
        folder: a cache that outlives the stage's outs.
        key: hash of all that determines the training: data, vectors, params, code, library versions.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}.state"

    def save(
        self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
    ) -> None:
        """Write the state after an epoch, atomically."""
        tensors = {f"model/{name}": tensor for name, tensor in state_of(model).items()}
        tensors |= {f"average/{name}": tensor for name, tensor in state_of(average).items()}
        tensors |= {f"best/{name}": tensor for name, tensor in progress.best.items()}
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value.cpu() for name, value in moments.items()}
        header = {
            "epoch": progress.epoch,
            "steps": progress.steps,
            "curve": progress.curve,
            "best_metric": progress.best_metric,
            "stale": progress.stale,
        }
        content = save(tensors, metadata={"progress": json.dumps(header)})
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)

    def restore(self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Load the state into its owners; a missing or damaged file means a fresh start."""
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}, "optimizer": {}}
        content = self._content()
        if content is None:
            return Progress()
        for name, tensor in load(content).items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # of safetensors
        model.load_state_dict(groups["model"])
        average.load_state_dict(groups["average"])
        moments: dict[int, dict[str, Any]] = {}
        for name, value in groups["optimizer"].items():
            index, _, moment = name.partition("/")
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        return Progress(best=groups["best"], **json.loads(header["__metadata__"]["progress"]))

    def _content(self) -> bytes | None:
        """Return what was saved; None where nothing was, or where it is not what was saved."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            print(f"train: starts anew: {self.path} cannot be read ({error.strerror})", file=sys.stderr)
            return None
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            print(f"train: starts anew: the state in {self.path} is damaged", file=sys.stderr)
            return None
        return content[DIGEST:]

    def remove(self) -> None:
        """Forget the state, as training is done, and those of others that were given up."""
        self.path.unlink(missing_ok=True)
        oldest = time.time() - KEPT
        for state in self.path.parent.glob("*.state"):
            with suppress(OSError):  # another process may have removed it
                if state.stat().st_mtime < oldest:
                    state.unlink()
