"""Several processes train one model: each reads its share of every batch, and their gradients are averaged."""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..core.errors import MachineError, ParamsError
from ..core.gpu import require_gpu
from .batches import Batch

Result = TypeVar("Result")
WAIT = timedelta(days=30)
"""How long processes wait for each other: a validation of the first may take any time. One that ends is noticed at once
by its closed connections."""
KEY = "params.yaml, key train.processes"
AGAIN = "run the same command again: it goes on after the last epoch that was finished"


@dataclass(frozen=True)
class Processes:
    """The processes of a training, as one of them sees them.

    Attributes:
        rank: of this one, from 0. The first alone validates and writes.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that validates and writes."""
        return self.rank == 0

    def parallel(self, module: nn.Module) -> nn.Module:
        """Return the module so wrapped that `backward` averages the gradients over the processes; one: as it is.

        A gradient is summed whole: that of the residual has as many rows as the catalogue, whatever a batch touches.
        After its first step a wrapped module groups the gradients anew, so in which order they are summed; wrap it
        anew for every epoch, and a run that was interrupted between two sums as one that was not.
        """
        if self.count == 1:
            return module
        # A static graph: a backbone may have weights that no loss ever reaches.
        return DistributedDataParallel(module, static_graph=True, forward_sync_buffers=False)

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """Return this process's windows, and what its mean loss weighs in the mean over the processes.

        Every `count`-th window, as those of a batch are sorted by length. Weighted so, the mean over the processes is
        the mean over the positions of the whole batch. Without a window of its own, a process reads one for nothing:
        all must take part in every step.
        """
        idle = self.rank >= len(batch.rows)
        mine = slice(1) if idle else slice(self.rank, None, self.count)
        part = Batch(batch.rows[mine], batch.targets[mine], batch.mask[mine])
        weight = 0.0 if idle else self.count * float(part.mask.sum() / batch.mask.sum())
        return part, weight

    def meet(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def mean(self, value: float) -> float:
        """Return the mean over the processes."""
        if self.count == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return total.item() / self.count

    def from_first(self, compute: Callable[[], Result]) -> Result:
        """Return what the first process computes, while the others wait for it."""
        if self.count == 1:
            return compute()
        results = [compute() if self.first else None]
        distributed.broadcast_object_list(results)
        return results[0]  # type: ignore[return-value]


def check_device(device: str, processes: int) -> None:
    """Refuse GPUs that are not there.

    Args:
        device: `train.device`.
        processes: `train.processes`, each of which needs a GPU of its own.

    Raises:
        ParamsError: torch can use no GPU, or fewer than there are processes.
    """
    if device == "cpu":
        return
    require_gpu("params.yaml, key train.device")
    gpus = torch.cuda.device_count()
    if processes > gpus:
        raise ParamsError(
            f"{processes} processes need a GPU each, but there are {gpus}", KEY, f"set it to {gpus}"
        )


@contextmanager
def joined(count: int, device: str = "cpu") -> Iterator[Processes]:
    """Join the processes that torchrun has started; one process joins nothing.

    Args:
        count: how many there must be: `train.processes`.
        device: `train.device`; with `cuda`, each process computes on the GPU of its number.

    Raises:
        ParamsError: torchrun has started another number, or some of them on other machines.
        MachineError: another process ended, so this one cannot go on.
    """
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started != count:
        raise ParamsError(
            f"torchrun has started {started} processes, but {count} shall train",
            KEY,
            f"set it to {started}, or run `python -m stages.train_hierarchical`, which starts them itself",
        )
    if count == 1:
        yield Processes()
        return
    if int(os.environ.get("LOCAL_WORLD_SIZE", started)) != started:
        raise ParamsError("the processes must share one machine and its cache", KEY, "start all on one")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what started it says that it was interrupted
    signal.signal(signal.SIGTERM, _stopped)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # from here on `cuda` is this one
    # What is no gradient or weight stays on the CPU: `mean`, `from_first`, `meet`.
    distributed.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl", timeout=WAIT)
    try:
        yield Processes(distributed.get_rank(), count)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends by itself, and says why
        # The wrapped module must go before the group does. The last to hold the group ends its threads; a module holds
        # Python's lock meanwhile, for which they may wait.
        traceback.clear_frames(error.__traceback__)
        if isinstance(error, RuntimeError) and "gloo" in str(error):
            raise _another_ended() from None
        raise
    finally:
        distributed.destroy_process_group()


def _stopped(*_: object) -> None:
    raise _another_ended()


def _another_ended() -> MachineError:
    return MachineError("another process of this training ended, so this one stops", remedy=AGAIN)


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: a kill of that one does not reach its children."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
