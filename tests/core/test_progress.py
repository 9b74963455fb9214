"""Progress in a terminal and in a log."""

import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress

WORK = """
import time
from hierrec.core import progress as module
module.EVERY = float({every})
for _ in module.track(range(20), desc="work", unit="step", shown={shown}):
    time.sleep(0.02)
"""


def run(every: float, shown: bool = True, stderr: int = subprocess.PIPE) -> str:
    command = [sys.executable, "-c", WORK.format(every=every, shown=shown)]
    return subprocess.run(command, stderr=stderr, text=True, check=True).stderr


def test_a_log_gets_whole_lines_with_an_estimate() -> None:
    lines = [line.strip() for line in run(0.1).replace("\r", "\n").splitlines() if line.strip()]
    assert 2 <= len(lines) <= 8
    assert all(line.startswith("work: ") and " of 20 step, " in line and line.endswith(" left") for line in lines)
    assert lines[-1].startswith("work: 20 of 20")


def test_short_work_leaves_a_log_empty() -> None:
    assert run(60) == ""


def test_other_processes_write_nothing() -> None:
    assert run(0.01, shown=False) == ""


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    run(60, stderr=theirs)
    shown = os.read(ours, 4096)
    os.close(theirs)
    with suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert b"20/20" in shown
    assert b" gone, " not in shown
