"""Signals: how stages and commands end early."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = "interrupted; `dvc repro` goes on from here"


def leave(*_: object) -> None:
    """Handle SIGINT while there is no work to save: print one line and end the process at once."""
    os.write(sys.stderr.fileno(), f"{INTERRUPTED}\n".encode())
    os._exit(128 + signal.SIGINT)


@contextmanager
def ended_by(numbers: Iterable[signal.Signals], line: str) -> Iterator[None]:
    """Make signals in the block raise SystemExit with status 128 + n, so that temporary files are removed.

    Only the main thread can do this; other threads change nothing. A signal with a handler of its own keeps it, and an
    ignored one stays ignored: nohup ignores SIGHUP, and a shell ignores SIGINT of its background processes.
    `line` is printed on standard error.
    """

    def end(number: int, _: object) -> None:
        os.write(2, f"{line}\n".encode())
        sys.exit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers if main}
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    replaced = {number: handler for number, handler in before.items() if handler in defaults}
    for number in replaced:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def discard_output() -> None:
    """Discard buffered standard output, which Python would try to write again when it exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
