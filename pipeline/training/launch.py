"""Starts a stage in several processes with torch's launcher, and waits for them."""

import os
import signal
import sys

import torch
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from ..core.errors import MachineError
from ..core.signals import INTERRUPTED
from ..core.stage import Summary
from .distributed import AGAIN


def launch(module: str, processes: int) -> Summary:
    """Do what `torchrun --nproc-per-node PROCESSES -m MODULE` does.

    The processes share this process's threads, unless OMP_NUM_THREADS sets the threads of each.

    Returns:
        An empty summary: the first process prints its own.

    Raises:
        MachineError: a process failed or was killed; the launcher has stopped the others.
        KeyboardInterrupt: this process was interrupted; the launcher has stopped all.
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
    return []
