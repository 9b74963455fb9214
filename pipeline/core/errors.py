"""One family of typed errors: what is wrong, where, and what to do about it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from .signals import discard_output


class HierrecError(Exception):
    """Base of every error that the user can do something about.

    Args:
        what: what is wrong, one sentence without a final stop.
        where: the place: file, line, column, key.
        remedy: what to do about it.
    """

    def __init__(self, what: str, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.remedy is not None:
            lines.append(f"  what to do: {self.remedy}")
        return "\n".join(lines)


class DataError(HierrecError):
    """Input data or a data artifact is malformed or inconsistent."""


class DownloadError(HierrecError):
    """A file could not be fetched, or is not the file that was asked for."""


class ParamsError(HierrecError):
    """A parameter is unknown, of the wrong type, out of range, or contradicts another."""


class ModelError(HierrecError):
    """A pre-trained model cannot be loaded or cannot be used for this purpose."""


class StoreError(HierrecError):
    """An embedding store is damaged, incomplete, or of another version."""


class IndexMismatchError(HierrecError):
    """An index is damaged or does not belong to the vectors at hand."""


class CheckpointError(HierrecError):
    """A model checkpoint is damaged, of another version, or does not fit the data."""


class NumericalError(HierrecError):
    """A computation gave NaN or an infinity where a number is needed."""


class MachineError(HierrecError):
    """The machine gives out: a full disk, a folder that may not be written, no memory."""


class OutOfMemoryError(MachineError):
    """Memory ran out."""


class UnforeseenError(HierrecError):
    """An error that no other type describes: a defect of hierrec, or input that it does not check."""


@contextmanager
def unforeseen_errors() -> Iterator[None]:
    """Turn every error within the block into a typed one: the border of a stage and of a command.

    A typed error passes as it is.

    Raises:
        MachineError: the system refused to read or write.
        UnforeseenError: names the error's type and its first line.
    """
    try:
        yield
    except HierrecError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        # Of files that are written, atomic_path tells; a full disk without a name is that of the standard output.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        where = str(error.filename) if error.filename else "output" if full else "input or output"
        if full and not error.filename:
            discard_output()
        remedy = "check that the place exists, has space and may be read and written"
        what = f"cannot be {'written' if full else 'read or written'} ({reason})"
        raise MachineError(what, where, remedy) from error
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        what = f"unforeseen error, {type(error).__name__}" + (f": {text[:200]}" if text else "")
        remedy = "report it with this message, the command and its output with --debug"
        raise UnforeseenError(what, None, remedy) from error


@contextmanager
def memory_needed(what: str, where: str | None = None, remedy: str | None = None) -> Iterator[None]:
    """Turn running out of memory within the block, a CPU's or a GPU's, into a typed error.

    Raises:
        OutOfMemoryError: with these arguments.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch has no type of its own for a CPU's memory; its messages say which allocator failed.
        signs = ("out of memory", "can't allocate memory", "bad_alloc")
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in signs):
            raise OutOfMemoryError(what, where, remedy) from None
        raise
