"""Writing beside and renaming, hashing, canonical JSON, caches: how everything reaches the disk."""

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, HierrecError, MachineError, ParamsError

LEFTOVER = ".hierrec.part"
"""How the names end of what is being written, or was when its writer was killed; nobody else's names end so."""

CHECKSUMS = "checksums.json"
"""In a folder: the SHA-256 of its files."""

if TYPE_CHECKING:
    import numpy as np


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds, else remove it.

    What killed writers left in that folder is removed first. The umask decides the file's mode.

    Raises:
        MachineError: the disk is full, or cannot be written there.
    """
    with _machine_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        temporary, handle = _temporary(path, os.open)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that replaces ``path`` whole if the block succeeds.

    The old folder is renamed before it is removed: whatever stands at ``path`` is whole. What killed writers left
    beside it is removed first. Where ``path`` is a link, the folder that it names is replaced. Of several writers the
    last wins. The umask decides the folder's mode.

    Raises:
        MachineError: the disk is full, or cannot be written there.
    """
    with _machine_errors(path), ExitStack() as stack:
        path = path.resolve() if path.is_symlink() else path
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)

        def beside() -> Path:
            folder, handle = _temporary(path, _open_folder)
            stack.callback(os.close, handle)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            return folder

        temporary = beside()
        yield temporary
        while True:
            with suppress(FileNotFoundError):  # none was there, or another writer has just moved it
                path.replace(beside())
            try:
                temporary.replace(path)
                return
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another writer's folder has come
                    raise


def _temporary(path: Path, opener: Callable[[str, int, int], int]) -> tuple[Path, int]:
    """Make an empty file or folder beside ``path`` and lock it.

    The lock lasts as long as the handle is open; the system frees the lock of a process that is killed. Until it is
    locked, another writer may take it for a leftover and remove it: then another one is made.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{LEFTOVER}")
        try:
            handle = opener(str(temporary), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:
            if path.parent.is_dir():
                continue
            raise
        with suppress(OSError):  # a file system without locks: nothing is removed there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(temporary.stat(), os.fstat(handle)):
                return temporary, handle
        os.close(handle)


def _open_folder(path: str, *_: int) -> int:
    """Make a folder and open it."""
    os.mkdir(path)
    return os.open(path, os.O_RDONLY)


def _remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; what others are writing is locked, and stays."""
    for leftover in folder.glob(f".*{LEFTOVER}"):
        with suppress(OSError):
            handle = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if leftover.is_dir():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink()
            finally:
                os.close(handle)


@contextmanager
def _machine_errors(path: Path) -> Iterator[None]:
    """Turn what the system refuses while ``path`` is written into a typed error, whatever library was writing."""
    try:
        yield
    except HierrecError:
        raise
    except Exception as error:
        reason = _system_reason(error)
        if reason is None:
            raise
        remedy = "free space on that disk, or make the folder writable, and run the command again"
        raise MachineError(f"cannot be written ({reason})", str(path), remedy) from None


def _system_reason(error: Exception) -> str | None:
    """Return the system's reason for an error; None if it is not the system's."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else str(error)
    # Libraries written in Rust (polars, safetensors) have types of their own, but quote the system's number.
    number = re.search(r"\(os error (\d+)\)", str(error))
    return os.strerror(int(number[1])) if number else None


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as canonical JSON (sorted keys, two spaces, final newline), atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: the file is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError("file is missing", str(path), "run `dvc repro`, or `dvc pull`") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", str(path), "mend that") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({error})", str(path), "remove it and run `dvc repro`") from None


def map_npy(path: Path) -> "np.memmap":
    """Map the array of a `.npy` file into memory, read-only.

    Raises:
        DataError: the file cannot be read, is no such file, or holds Python objects, which are never loaded.
    """
    import numpy as np  # the command starts without

    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # by the kind of damage, anything from OSError to tokenize's TokenError
        raise DataError(f"not a numpy array: {error}", str(path), "run `dvc repro`, or `dvc pull`") from None
    if not isinstance(array, np.memmap):
        raise DataError(
            "not a numpy array: an archive of several", str(path), "run `dvc repro`, or `dvc pull`"
        )
    return array


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """Record the SHA-256 of every file in a folder and below it, in `checksums.json` there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write_json(folder / CHECKSUMS, {path.relative_to(folder).as_posix(): sha256_file(path) for path in files})


def check_seal(folder: Path) -> None:
    """Compare the files in a folder with what `seal` recorded.

    Raises:
        DataError: a file is missing, cannot be read, or its content is another one; or the record is.
    """
    recorded, remedy = read_json(folder / CHECKSUMS), "run `dvc repro`, or `dvc pull`"
    if not isinstance(recorded, dict):
        raise DataError("holds no checksums", str(folder / CHECKSUMS), remedy)
    for name, checksum in recorded.items():
        path = folder / name
        if not path.is_file():
            raise DataError("file is missing", str(path), remedy)
        try:
            same = sha256_file(path) == checksum
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", str(path), remedy) from None
        if not same:
            raise DataError("content has another hash", str(path), remedy)


def sha256_json(value: Any) -> str:
    """Return the hex SHA-256 of ``value`` as canonical compact JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def cache_dir(name: str) -> Path:
    """Return the folder of a cache, outside the stages' outs, which DVC removes before a stage runs.

    `HIERREC_CACHE` overrides the user's cache folder. Everything in it is keyed on content, so that checkouts
    share it, and it can be removed at any time.

    Raises:
        ParamsError: the folder cannot be made or cannot be written.
    """
    import pooch  # slow to import, and the command starts without

    root = os.environ.get("HIERREC_CACHE")
    folder = (Path(root) if root else Path(pooch.os_cache("hierrec"))) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "set the environment variable HIERREC_CACHE to a folder that can be written"
        raise ParamsError(f"the cache cannot be written ({error.strerror})", str(folder), remedy) from None
    return folder
