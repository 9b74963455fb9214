"""A stage in several processes: torch's own launcher starts them, and this one waits."""

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
    """Do what `torchrun --nproc-per-node PROCESSES -m MODULE` does; return no summary, as the first process gives it.

    Unless OMP_NUM_THREADS says how many threads each has, they share those of this process.

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
