"""Data-parallel training in several processes, which torch's launcher starts."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run
from torch.nn.parallel import DistributedDataParallel

from ..core.errors import MachineError, ParamsError
from ..core.gpu import require_gpu
from ..core.signals import INTERRUPTED
from .batches import Batch

Result = TypeVar("Result")
# Timeout of collective operations. The first process may validate for hours; a process that ends is noticed at once,
# because its connections close.
WAIT = timedelta(days=30)
KEY = "params.yaml, key train.processes"
AGAIN = "run the same command again: it resumes after the last finished epoch"


@dataclass(frozen=True)
class Processes:
    """Rank and world size of this process in the process group.

    Each computes its share of every batch, and their gradients are averaged.
    """

    rank: int = 0  # of this process
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one process that validates and writes."""
        return self.rank == 0

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that `backward` averages the gradients over the processes; one process needs no wrapper.

        Wrap it again for every epoch: after its first step a wrapper regroups the gradients, which changes the order
        of their sums, and a resumed training must sum in the same order as an uninterrupted one. Gradients are
        exchanged dense: the residual's gradient has a row for every item of the catalogue.
        """
        if self.count == 1:
            return module
        # Static graph: a backbone may have weights that no loss ever reaches.
        return DistributedDataParallel(module, static_graph=True, forward_sync_buffers=False)

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """Return this process's windows, and the weight of their mean loss.

        Windows are sorted by length, so each process takes every `count`-th. The weight makes the mean over the
        processes equal to the mean over all positions of the batch. A process without windows reads one with weight
        0, because all processes must take part in every step.
        """
        idle = self.rank >= len(batch.rows)
        windows = slice(1) if idle else slice(self.rank, None, self.count)
        part = replace(batch, **{name: array[windows] for name, array in vars(batch).items() if array is not None})
        weight = 0.0 if idle else self.count * float(part.mask.sum() / batch.mask.sum())
        return part, weight

    def barrier(self) -> None:
        """Wait until all processes get here."""
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
        """Compute in the first process, and return its result in all."""
        if self.count == 1:
            return compute()
        results = [compute() if self.first else None]
        distributed.broadcast_object_list(results)
        return results[0]  # type: ignore[return-value]


def check_device(device: str, processes: int) -> None:
    """Raise ``ParamsError`` if `train.device` is `cuda`, but torch can use fewer GPUs than there are processes."""
    if device == "cpu":
        return
    require_gpu("params.yaml, key train.device")
    gpus = torch.cuda.device_count()
    if processes > gpus:
        what = f"{processes} processes need a GPU each, but there are {gpus}"
        raise ParamsError(what, KEY, f"set it to {gpus}")


def launch(module: str, processes: int) -> None:
    """Do what `torchrun --nproc-per-node PROCESSES -m MODULE` does, and wait for the processes.

    The processes share this process's threads, unless OMP_NUM_THREADS sets the threads of each. If a process fails
    (``MachineError``) or this one is interrupted (``KeyboardInterrupt``), the launcher stops all.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // processes)))
    options = ["--standalone", f"--nproc-per-node={processes}", f"--log-dir={os.devnull}"]
    try:
        run(parse_args([*options, "-m", module, *sys.argv[1:]]))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        how = failure.signal_name() if failure.exitcode < 0 else f"exit status {failure.exitcode}"
        raise MachineError(f"process {rank} of {processes} ended with {how}", module, AGAIN) from None
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(128 + error.sigval)


@contextmanager
def joined(count: int, device: str = "cpu") -> Iterator[Processes]:
    """Join the process group of `train.processes` processes that torchrun has started; a single process joins none.

    With `train.device` `cuda`, each process uses the GPU of its local rank. Raises ``ParamsError`` if torchrun has
    started another number of processes, or several machines; ``MachineError`` if another process ends.
    """
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started != count:
        what = f"torchrun has started {started} processes, but train.processes is {count}"
        raise ParamsError(what, KEY, f"set it to {started}, or run the stage without torchrun: it starts them itself")
    if count == 1:
        yield Processes()
        return
    if int(os.environ.get("LOCAL_WORLD_SIZE", started)) != started:
        raise ParamsError("the processes must share one machine and its cache", KEY, "start all on one")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the launcher reports the interrupt
    signal.signal(signal.SIGTERM, _stopped)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # gloo serves the CPU tensors of `mean`, `from_first` and `barrier`.
    distributed.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl", timeout=WAIT)
    try:
        yield Processes(distributed.get_rank(), count)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this process ends by itself, with its own message
        # Free the wrapped module before the group. The last holder of the group joins the group's threads; a module
        # would do so while it holds the GIL, for which these threads may wait.
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
    """End this process with its parent: a SIGKILL to the parent does not reach its children."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
