"""Read and write files: atomic writes, canonical JSON, checksums, memory maps, caches."""

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, HierrecError, MachineError, ParamsError, system_reason

if TYPE_CHECKING:
    import numpy as np

LEFTOVER = ".hierrec.part"  # suffix of temporary files and folders, which a killed writer leaves behind; only ours
CHECKSUMS = "checksums.json"  # file in a folder with the SHA-256 of the folder's other files
_REMEDY = "run `dvc repro`, or `dvc pull`"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path``. It replaces ``path`` if the block succeeds, else it is removed.

    Leftovers of killed writers in that folder are removed first. The umask decides the file's mode. Raises
    ``MachineError`` if the disk is full, or the folder cannot be written.
    """
    with _machine_errors(path), _temporary(path, folder=False) as temporary:
        yield temporary
        temporary.replace(path)


@contextmanager
def alone_beside(path: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for a path in the same folder; make the folder if needed."""
    with _machine_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks on folders, such as NFS
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"waiting for another run that writes into {path.parent}", file=sys.stderr)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``. It replaces ``path`` if the block succeeds, else it is removed.

    Linux exchanges the two folders in one step, so ``path`` is always the old folder or the new one. Elsewhere the old
    folder is renamed first, so for a moment ``path`` does not exist. If ``path`` is a link, its target is replaced. The
    last of several writers wins. Leftovers, modes and errors are as for `atomic_path`.
    """
    with _machine_errors(path), ExitStack() as stack:
        path = path.resolve() if path.is_symlink() else path
        temporary = stack.enter_context(_temporary(path, folder=True))
        yield temporary
        if path.is_dir() and _exchange(temporary, path):
            return  # the old folder is the temporary one now
        while True:
            with suppress(FileNotFoundError):  # there was no folder, or another writer has just moved it
                path.replace(stack.enter_context(_temporary(path, folder=True)))
            try:
                temporary.replace(path)
                return
            except OSError as error:
                # Another writer may just have put its folder there.
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; return False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


@contextmanager
def _temporary(path: Path, folder: bool) -> Iterator[Path]:
    """Make an empty file or folder beside ``path`` and lock it; remove it at the end if it is still there.

    The system releases the lock when the handle is closed or the process is killed.
    """
    with ExitStack() as stack:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path.parent)
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{LEFTOVER}")
            stack.callback(_remove, temporary)  # before it is made, so that a signal leaves nothing
            with suppress(FileNotFoundError):  # another writer took it for a leftover before it was locked
                if folder:
                    temporary.mkdir()
                flags = os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT | os.O_EXCL
                handle = os.open(temporary, flags, 0o666)
                stack.callback(os.close, handle)
                with suppress(OSError):  # a file system without locks, where no leftover is removed either
                    fcntl.flock(handle, fcntl.LOCK_EX)
                if os.path.samestat(temporary.stat(), os.fstat(handle)):
                    break
        yield temporary


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary paths that no running writer has locked."""
    for leftover in folder.glob(f".*{LEFTOVER}"):
        with suppress(OSError):
            handle = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(leftover)
            finally:
                os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _machine_errors(path: Path) -> Iterator[None]:
    """Turn system errors in the block, from any library, into a ``MachineError`` that names ``path``."""
    try:
        yield
    except HierrecError:
        raise
    except Exception as error:
        if isinstance(error, OSError):
            reason = system_reason(error)
        # Libraries in Rust (polars, safetensors) raise their own types, but quote the system's number.
        elif number := re.search(r"\(os error (\d+)\)", str(error)):
            reason = os.strerror(int(number[1]))
        else:
            raise
        remedy = "free space on that disk, or make the folder writable, and run the command again"
        raise MachineError(f"cannot be written ({reason})", str(path), remedy) from None


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as canonical JSON (sorted keys, two spaces, final newline), atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; raise ``DataError`` if it is missing, cannot be read, or is not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError("file is missing", str(path), _REMEDY) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", str(path), "make it readable") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({error})", str(path), "remove it and run `dvc repro`") from None


def write_details(path: Path, metrics: Any) -> None:
    """Write metrics that DVC's commands should not show, as a list of one object: DVC does not show lists."""
    write_json(path, [metrics])


def read_details(path: Path) -> Any:
    """Read metrics that `write_details` of this or an earlier version wrote; raises as `read_json` does."""
    return details_of(read_json(path))


def details_of(content: Any) -> Any:
    """Return the metrics in the content of a file of `write_details`; earlier versions wrote no list around them."""
    return content[0] if isinstance(content, list) and len(content) == 1 else content


def map_npy(path: Path) -> "np.memmap":
    """Memory-map the array of a `.npy` file, read-only.

    Raises ``DataError`` if it cannot be read, is no `.npy` file, or holds Python objects, which are never loaded.
    """
    import numpy as np  # slow; the command line starts without it

    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            raise ValueError("an archive of several arrays")
    except Exception as error:  # damage raises anything from OSError to tokenize's TokenError
        raise DataError(f"not a numpy array: {error}", str(path), _REMEDY) from None
    return array


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the hex SHA-256 of ``value`` as canonical compact JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def check_file(path: Path, sha256: Any, record: str) -> None:
    """Raise ``DataError`` if a file is missing, cannot be read, or has another checksum than ``record`` says."""
    if not path.is_file():
        raise DataError("file is missing", str(path), _REMEDY)
    try:
        same = sha256_file(path) == sha256
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", str(path), _REMEDY) from None
    if not same:
        raise DataError(f"content has another hash than {record} says", str(path), _REMEDY)


def seal(folder: Path) -> None:
    """Write the SHA-256 of every file in a folder, subfolders included, to its `checksums.json`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    write_json(folder / CHECKSUMS, {path.relative_to(folder).as_posix(): sha256_file(path) for path in files})


def check_seal(folder: Path) -> None:
    """Raise ``DataError`` if a file differs from its checksum in `checksums.json`, or if this record is damaged."""
    recorded = read_json(folder / CHECKSUMS)
    if not isinstance(recorded, dict):
        raise DataError("holds no checksums", str(folder / CHECKSUMS), _REMEDY)
    for name, checksum in recorded.items():
        check_file(folder / name, checksum, CHECKSUMS)


def cache_dir(name: str) -> Path:
    """Return the folder of a cache: `$HIERREC_CACHE/name`, by default in the user's cache folder.

    It lies outside the outs of the stages, which DVC removes before a stage runs. Keys are hashes of content, so
    several checkouts can share a cache. It can be removed at any time. Raises ``ParamsError`` if it cannot be written.
    """
    import pooch  # slow; the command line starts without it

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
