"""Resuming an interrupted training: its state after each epoch, in a cache outside the stage's outs."""

import hashlib
import json
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn

from ..core.files import atomic_path, sha256_file, sha256_json
from ..core.sequences import Sequences
from ..model.checkpoint import state_of, write_curve
from ..model.ensemble import UserModel

KEPT = 30 * 24 * 3600  # seconds that the state of an interrupted training is kept
DIGEST = hashlib.sha256().digest_size


@dataclass
class Progress:
    """Progress of a training."""

    epoch: int = 0  # finished epochs
    steps: list[int] = field(default_factory=list)  # finished steps of each member
    curve: list[dict[str, float]] = field(default_factory=list)  # one record per validation
    best: dict[str, Tensor] = field(default_factory=dict)  # weights of the best epoch
    best_metric: float = -1.0  # its validation NDCG@10
    stale: int = 0  # validations since the best
    shrunk: bool = False  # whether the kept model is shrunk (`params.shrinkage`)


def training_key(model: UserModel, sequences: Sequences, candidates: NDArray[np.bool_], code: list[str]) -> str:
    """Hash everything that defines a training, so that only the same training is resumed.

    That is the untrained model on the CPU (params, weights, frozen vectors, backbone config), the sequences and their
    split, the `candidates` that validation ranks, bool [n], and the hashes of the `code` that trains.

    The number of threads is left out, so a training may resume on a machine with another number of cores. The weights
    may then differ in their last bits from an uninterrupted run, as they do between any two machines. With
    `residual_start: co_occurrence`, another kind of processor may compute other initial residuals and so start anew.
    """
    params = model.params.model_dump(mode="json")
    config = model.members[0].backbone.config.to_json_string(use_diff=False)
    versions = [torch.__version__, transformers.__version__]
    digest = hashlib.sha256(sha256_json([params, config, code, versions]).encode())
    for tensor in [*model.parameters(), *model.buffers()]:
        digest.update(tensor.detach().numpy().tobytes())
    for array in (*vars(sequences).values(), candidates):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def code_hashes() -> list[str]:
    """Hash the code that a training runs: the modules of the package that are imported by now."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "hierrec"}
    return [sha256_file(Path(module.__file__)) for _, module in sorted(modules.items()) if module.__file__]


class TrainingState:
    """The file `<training_key>.state`: a SHA-256, weights, their average, optimizer moments, best weights, progress.

    The learning curve is written with each state as the CSV `curve`, so that a running training can be watched.
    """

    def __init__(self, folder: Path, key: str, curve: Path | None = None) -> None:
        self.path, self.curve = folder / f"{key}.state", curve

    def save(self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        """Write the state after an epoch, atomically."""
        header = dict(vars(progress))
        groups = {"model": state_of(model), "average": state_of(average), "best": header.pop("best")}
        for index, moments in optimizer.state_dict()["state"].items():
            groups[str(index)] = {name: value.cpu() for name, value in moments.items()}
        tensors = {f"{group}/{name}": tensor for group, state in groups.items() for name, tensor in state.items()}
        content = save(tensors, metadata={"progress": json.dumps(header)})
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        if self.curve is not None and progress.curve:
            write_curve(self.curve, progress.curve)

    def restore(self, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Load the state into the arguments; a missing or damaged file means a fresh start."""
        content = self._content()
        if content is None:
            return Progress()
        groups: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in load(content).items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        model.load_state_dict(groups["model"])
        average.load_state_dict(groups["average"])
        moments = {int(group): tensors for group, tensors in groups.items() if group.isdecimal()}
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # of safetensors
        return Progress(best=groups["best"], **json.loads(header["__metadata__"]["progress"]))

    def _content(self) -> bytes | None:
        """Return the saved bytes; None where the file is missing, unreadable or damaged."""
        try:
            content = self.path.read_bytes()
            if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
                return content[DIGEST:]
            what = "is damaged"
        except FileNotFoundError:
            return None
        except OSError as error:
            what = f"cannot be read ({error.strerror})"
        print(f"train: starts from scratch: {self.path} {what}", file=sys.stderr)
        return None

    def remove(self) -> None:
        """Remove the state of this finished training, and abandoned states older than `KEPT`."""
        self.path.unlink(missing_ok=True)
        oldest = time.time() - KEPT
        for state in self.path.parent.glob("*.state"):
            with suppress(OSError):  # another process may have removed it
                if state.stat().st_mtime < oldest:
                    state.unlink()
