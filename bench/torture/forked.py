"""Run a stage in a process forked from one that has imported the libraries: a second instead of ten."""

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from hierrec.encode import row_cache

from bench.torture.workspace import Workspace

WRITES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree"})
LOG = "stage.log"
EVENTS, MODULES = "events", "modules"


def run(workspace: Workspace, stage: str) -> tuple[float, int]:
    """Run a stage undisturbed, then import its modules here, so that the next process need not.

    Returns:
        Its CPU seconds and its number of writes.

    Raises:
        RuntimeError: it failed.
    """
    pid = _fork(workspace, stage, _Counter(workspace.folder / EVENTS))
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"{stage} fails: {(workspace.folder / LOG).read_text()}")
    for name in (workspace.folder / MODULES).read_text().split():
        with suppress(ImportError):  # a module created at run time
            importlib.import_module(name)
    return usage.ru_utime + usage.ru_stime, (workspace.folder / EVENTS).stat().st_size


def kill_before_write(workspace: Workspace, stage: str, number: int) -> bool:
    """Run a stage and kill it before its write `number` (from 0); return whether it was killed."""
    return _was_killed(_fork(workspace, stage, Bomb(number, signal.SIGKILL)))


def interrupt_before_write(workspace: Workspace, stage: str, number: int) -> tuple[int, str]:
    """Run a stage and send SIGINT before its write `number`; return its exit status and output."""
    _, status = os.waitpid(_fork(workspace, stage, Bomb(number, signal.SIGINT)), 0)
    return os.waitstatus_to_exitcode(status), (workspace.folder / LOG).read_text()


def kill_after_seconds(workspace: Workspace, stage: str, seconds: float) -> bool:
    """Run a stage and kill its process group after `seconds` of CPU time; return whether it was still running."""
    pid = _fork(workspace, stage, None)
    times = psutil.Process(pid).cpu_times
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if sum(times()[:2]) >= seconds:
            os.killpg(pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    return _was_killed(pid)


def _was_killed(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _fork(workspace: Workspace, stage: str, hook: Callable[[str, tuple[Any, ...]], None] | None) -> int:
    """Fork a process that runs a stage; return its id, which is also its group's."""
    main = importlib.import_module(f"stages.{stage}").main
    log = os.open(workspace.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    pid = os.fork()
    if pid:
        os.close(log)
        _in_own_group(pid)
        return pid
    status, imported = 1, set(sys.modules)
    try:
        _in_own_group(0)
        os.chdir(workspace.folder)
        os.environ["HIERREC_CACHE"] = str(workspace.cache)
        os.dup2(log, 1)
        os.dup2(log, 2)
        row_cache.SAVE_SECONDS = 0.0  # so that a short stage writes as often as a long one
        if hook is not None:
            sys.addaudithook(hook)
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        Path(MODULES).write_text("\n".join(set(sys.modules) - imported))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _in_own_group(pid: int) -> None:
    """Put a process in its own group; parent and child both call this to avoid a race."""
    with suppress(PermissionError, ProcessLookupError):
        os.setpgid(pid, 0)


def _is_write(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether an audit event is a write to an artifact or a cache."""
    if event == "open":
        path, _, flags = arguments
        return isinstance(path, str | Path) and bool(flags & (os.O_WRONLY | os.O_RDWR)) and _is_ours(path)
    return event in WRITES and isinstance(arguments[0], str | Path) and _is_ours(arguments[0])


def _is_ours(path: str | Path) -> bool:
    return {"artifacts", ".cache"} & set(Path(path).parts) != set()


class _Counter:
    """Writes one byte per write."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if _is_write(event, arguments):
            os.write(self.file, b".")


class Bomb:
    """Sends the process a signal before a write."""

    def __init__(self, number: int, what: signal.Signals) -> None:
        self.left, self.what = number, what

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if _is_write(event, arguments):
            self.left -= 1  # before the kill: the signal may raise an exception
            if self.left == -1:
                os.kill(os.getpid(), self.what)
