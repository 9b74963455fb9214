"""Input files: local files are used in place, downloads are kept; checksums are verified."""

import glob
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from ..core.errors import DownloadError
from .sources import is_html, md5_file

_STALE = 3600  # seconds without a write after which the download of another process counts as killed


def fetch(
    source: str, md5: str | None, cache: Path, attempts: int = 4, wait: float = 1.0, key: str = "archive"
) -> Path:
    """Return the path of a file; a URL is downloaded into `cache` unless it is there with the right checksum.

    Without a checksum it is downloaded each time: the file behind the URL may have changed.
    Raises ``DownloadError`` if the file is missing, unreachable, or has another checksum.

    Args:
        source: an http or https URL, or a path (`~` is expanded), which is used in place.
        md5: checksum as 32 hex digits; None: not checked.
        cache: folder of downloads.
        attempts: number of tries; an answer such as 404 is final at once.
        wait: seconds before the second try, doubled before each further one.
        key: the param `ingest.<key>`, or the option `--…`, that names the source, for messages.
    """
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in ("http", "https"):
        return _download(source, md5, cache, attempts, wait, key)
    if scheme:
        raise DownloadError(f"{scheme} is not supported", source, f"use http or https; or {_ways_out(key)}")
    path = Path(os.path.expanduser(source))
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise DownloadError(what, str(path), f"correct {_param(key)}; or {_ways_out(key)}")
    try:
        _verify(path, md5, str(path), key)
    except OSError as error:
        raise DownloadError(f"cannot be read ({error})", str(path), _ways_out(key)) from None
    return path


def fetch_parts(source: str, md5: str | None, cache: Path, key: str) -> list[Path]:
    """Return the files of a table: one file (see `fetch`), or the files of a folder or pattern, sorted by path.

    A pattern has `*`, `?`, `[…]`, and `**` for folders in folders. Files and folders whose names start with `.` or `_`
    do not count. Interactions at the same time keep the order of their files. `md5` is the checksum of the files'
    bytes, one file after the other (`cat … | md5sum`). Other arguments and errors are those of `fetch`.
    """
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        paths = sorted(entry for entry in path.iterdir() if not _hidden([entry.name]))
        for folder in filter(Path.is_dir, paths):
            suffix = next((file.suffix for file in folder.rglob("[!._]*.*") if file.is_file()), ".parquet")
            remedy = f"take a pattern: {_param(key)}: {path}/**/*{suffix}"
            raise DownloadError(f"holds a folder, {folder.name}", str(path), remedy)
    elif "://" not in source and not path.is_file() and glob.has_magic(source):
        matches = filter(Path.is_file, map(Path, glob.glob(str(path), recursive=True)))
        # Spark's `_temporary` and the like; a name in the pattern itself is meant.
        paths = sorted(found for found in matches if not _hidden(set(found.parts) - set(path.parts)))
    else:
        return [fetch(source, md5, cache, key=key)]
    if not paths:
        what = "the folder holds no file" if path.is_dir() else "no file matches this pattern"
        raise DownloadError(what, source, f"correct {_param(key)}")
    for folder in {parent for found in paths for parent in found.parents}:
        if (folder / "_delta_log").is_dir():
            what = "is a Delta table, whose folder also holds files of removed rows"
            raise DownloadError(what, str(folder), "export it to a folder of plain Parquet files")
    if md5 is not None and (got := md5_file(*paths)) != md5:
        what = f"the checksum does not match: md5 {md5} is expected, but these {len(paths)} files have {got}"
        raise DownloadError(what, source, f"correct ingest.{key}_md5 if these files are the right ones")
    return paths


def _hidden(names: Iterable[str]) -> bool:
    return any(name.startswith((".", "_")) for name in names)


def _download(url: str, md5: str | None, cache: Path, attempts: int, wait: float, key: str) -> Path:
    if md5 == "":
        raise DownloadError("its checksum is empty", url, f"set ingest.{_md5_key(key)} to it, or to null")
    for leftover in cache.glob("tmp*"):  # pooch's temporary files
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE:
                leftover.unlink()

    def transfer(url: str, path: str, retriever: object, check_only: bool = False) -> None:
        """Download a file and verify it before pooch moves it into the cache."""
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty())(url, path, retriever)
        _verify(Path(path), md5, url, key)

    def retrieve() -> Path:
        if md5 is not None:
            return Path(pooch.retrieve(url, f"md5:{md5}", path=cache, downloader=transfer))  # pyright: ignore[reportArgumentType] (wrong names)
        kept = cache / pooch.utils.unique_file_name(url)
        print(f"downloading {url}", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        with pooch.utils.temporary_file(path=str(cache)) as temporary:
            transfer(url, temporary, None)
            return Path(temporary).replace(kept)

    reason, remedy, attempt = "", _ways_out(key), 0
    while True:
        attempt += 1
        try:
            return retrieve()
        except requests.RequestException as error:
            reason, final = _reason(url, error)
        except ValueError as error:
            reason, final = f"this is not a URL ({error})", True
        except DownloadError as error:
            # a broken transfer is tried again, unless it gave the same wrong bytes twice
            final, reason, remedy = error.what == reason, error.what, error.remedy
        except FileNotFoundError:  # another process removed the file or the folder
            reason, final = "the downloaded file disappears from the cache", False
        except OSError as error:
            remedy = "free space or permissions there, or point HIERREC_CACHE to another folder"
            raise DownloadError(f"cannot be written ({error})", str(cache), remedy) from None
        if final or attempt >= attempts:
            times = "once" if attempt == 1 else f"{attempt} times"
            raise DownloadError(f"cannot be downloaded (tried {times}): {reason}", url, remedy)
        time.sleep(wait * 2 ** (attempt - 1))


def _verify(path: Path, md5: str | None, where: str, key: str) -> None:
    if md5 is None or (got := md5_file(path)) == md5:
        return
    if md5 == "":
        remedy = f"set ingest.{_md5_key(key)} to {got}, which this file has, or to null"
        raise DownloadError("its checksum is empty", where, remedy)
    kind = "a web page, not the file" if is_html(partial(path.open, "rb")) else "another file"
    what = f"this is {kind}: md5 {md5} is expected, but its {path.stat().st_size:,} bytes have {got}"
    remedy = f"correct ingest.{_md5_key(key)} if this file is the right one; or {_ways_out(key)}"
    raise DownloadError(what, where, remedy)


def _md5_key(key: str) -> str:
    return "md5" if key == "archive" else f"{key}_md5"


def _param(key: str) -> str:
    return key if key.startswith("-") else f"ingest.{key}"


def _ways_out(key: str) -> str:
    if key.startswith("-"):
        return "name a file of this machine"
    params = f"(ingest.{key}: its path, ingest.{_md5_key(key)}: its checksum or null)"
    local = f"use a file on this machine {params}"
    return f"{local}, or try the embedded sample with `make demo`" if key == "archive" else local


def _reason(url: str, error: requests.RequestException) -> tuple[str, bool]:
    """Return why a request failed, and whether trying again is useless: the server refused, or the URL is malformed."""
    host, response = urlsplit(url).hostname, error.response
    if response is not None:
        final = 400 <= response.status_code < 500 and response.status_code not in (408, 429)
        return f"{host} answers {response.status_code} {response.reason}", final
    if isinstance(error, requests.Timeout):
        return f"{host} does not answer in time", False
    if isinstance(error, ValueError):
        return f"this is not a URL ({error})", True
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    text = (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
    failure = "cannot be reached" if isinstance(error, requests.ConnectionError) else "breaks off"
    return f"{host} {failure} ({' '.join(text.split())})", False
