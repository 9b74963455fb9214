"""How a stage and a command end on a signal, and where their output is cut off."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = "interrupted; `dvc repro` goes on from here"


def leave(*_: object) -> None:
    """End the process at once with one line: a handler of SIGINT for as long as there is nothing to save."""
    os.write(sys.stderr.fileno(), f"{INTERRUPTED}\n".encode())
    os._exit(128 + signal.SIGINT)


@contextmanager
def ended_by(numbers: Iterable[signal.Signals], line: str) -> Iterator[None]:
    """Let signals within the block raise SystemExit with 128 + n: what is being written is removed on the way out.

    Args:
        numbers: the signals. One that is ignored stays so: nohup ignores SIGHUP, and a shell SIGINT of what runs in the
            background. Only the main thread has signals.
        line: printed on standard error.
    """

    def end(number: int, _: object) -> None:
        os.write(2, f"{line}\n".encode())
        sys.exit(128 + number)

    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in numbers}
    main = threading.current_thread() is threading.main_thread()
    ours = {number: handler for number, handler in before.items() if main and handler in defaults}
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def discard_output() -> None:
    """Send what standard output still holds nowhere, or Python would fail to write it once more at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
