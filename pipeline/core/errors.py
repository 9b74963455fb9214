"""Typed errors. Each says what is wrong, where, and what to do about it."""

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .signals import discard_output


class HierrecError(Exception):
    """Base of all errors that hierrec reports.

    Args:
        what: the problem, one sentence without a final stop.
        where: the place: file, line, column, key.
        remedy: what to do about it.
    """

    def __init__(self, what: str, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        place = "" if self.where is None else f"{self.where}: "
        remedy = "" if self.remedy is None else f"\n  what to do: {self.remedy}"
        return f"{place}{self.what}{remedy}"


class DataError(HierrecError):
    """Input data or a data artifact is malformed or inconsistent."""


class NoRowsError(DataError):
    """A table has no rows, or no row that counts."""


class DownloadError(HierrecError):
    """A file could not be downloaded, or has another checksum than expected."""


class ParamsError(HierrecError):
    """A parameter is unknown, has the wrong type, is out of range, or contradicts another."""


class ModelError(HierrecError):
    """A pre-trained model cannot be loaded or does not fit the task."""


class StoreError(HierrecError):
    """An embedding store is damaged, incomplete, or has another version."""


class IndexMismatchError(HierrecError):
    """An index is damaged or was built from other vectors."""


class CheckpointError(HierrecError):
    """A model checkpoint is damaged, has another version, or does not fit the data."""


class NumericalError(HierrecError):
    """A computation gave NaN or an infinity."""


class MachineError(HierrecError):
    """The machine failed: the disk is full, a folder cannot be written, memory ran out."""


class OutOfMemoryError(MachineError):
    """Memory ran out."""


class UnforeseenError(HierrecError):
    """An error of no other type: a defect of hierrec, or input that it does not check."""


class HierrecWarning(UserWarning):
    """A result may not be as expected; a command shows it in one line, `warning: …`."""


def quote(value: object) -> str:
    """Return a value as a message shows it: quoted if it is text, shortened if it is long."""
    if isinstance(value, str) and len(value) > 60:
        value = value[:57] + "..."
    return repr(value)


def system_reason(error: OSError) -> str:
    """Return the operating system's reason for an error, such as "No space left on device"."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)  # a name that is not resolved has a negative number


@contextmanager
def reported_errors(debug: bool, memory_remedy: str) -> Iterator[None]:
    """Report every error of a stage or command as one message and exit with status 1; `debug` shows the traceback.

    A ``HierrecWarning`` is shown in one line too.
    """
    format_other = warnings.formatwarning

    def in_one_line(message: Warning | str, category: type[Warning], *place: Any) -> str:
        ours = issubclass(category, HierrecWarning)
        return f"warning: {message}\n" if ours else format_other(message, category, *place)

    warnings.formatwarning = in_one_line
    try:
        with memory_needed("memory ran out", remedy=memory_remedy):
            yield
    except BaseException as error:
        # Polars' panic is not an Exception, but is reported. SystemExit and KeyboardInterrupt are raised again.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        typed = error if isinstance(error, HierrecError) else _typed(error)
        if debug and typed is error:
            raise
        if debug:
            raise typed from error
        print(f"error: {typed}", file=sys.stderr)
        sys.exit(1)
    finally:
        warnings.formatwarning = format_other


def _typed(error: BaseException) -> HierrecError:
    """Return ``MachineError`` if the system refused to read or write, else ``UnforeseenError``."""
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full and not error.filename:  # standard output, which has no file name
            discard_output()
        where = str(error.filename or ("output" if full else "input or output"))
        what = f"cannot be {'written' if full else 'read or written'} ({system_reason(error)})"
        return MachineError(what, where, "check that the place exists, has space and may be read and written")
    text = str(error).strip().partition("\n")[0]
    what = f"unforeseen error, {type(error).__name__}" + (f": {text[:200]}" if text else "")
    return UnforeseenError(what, None, "report it with this message, the command and its output with --debug")


@contextmanager
def memory_needed(what: str, where: str | None = None, remedy: str | None = None) -> Iterator[None]:
    """Raise ``OutOfMemoryError`` with these arguments if the block runs out of memory, of the CPU or the GPU."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch has no error type for CPU memory; its messages name the allocator that failed.
        signs = ("out of memory", "can't allocate memory", "bad_alloc")
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in signs):
            raise OutOfMemoryError(what, where, remedy) from None
        raise
