"""An input file on this machine: a local file used in place, or a download, fetched once; both verified."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from ..core.errors import DownloadError
from .archive import looks_like_html

_STALE = 3600
"""Seconds without a write after which a download that another process began counts as killed."""


def fetch(
    source: str, md5: str | None, cache: Path, attempts: int = 4, wait: float = 1.0, key: str = "archive"
) -> Path:
    """Return the path of a file, downloaded into ``cache`` if it is a URL and not there yet.

    Args:
        source: an http or https URL, or a path (`~` is expanded), which is used in place.
        md5: checksum as 32 hex digits; None: not checked.
        cache: folder of downloads. A file there is used again if its checksum is right.
        attempts: tries before giving up; an answer such as 404 is final at once.
        wait: seconds before the second try, doubled before each further one.
        key: the param `ingest.<key>` that names the source, for messages.

    Raises:
        DownloadError: the file is missing, unreachable, or not the one that ``md5`` describes.
    """
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in ("http", "https"):
        return _download(source, md5, cache, attempts, wait, key)
    if scheme:
        raise DownloadError(f"{scheme} is not supported", source, f"use http or https; or {_ways_out(key)}")
    path = Path(os.path.expanduser(source))
    if not path.is_file():
        what = "is a folder, not a file" if _is_folder(path) else "no such file"
        raise DownloadError(what, str(path), f"correct ingest.{key}; or {_ways_out(key)}")
    try:
        _verify(path, md5, str(path), key)
    except OSError as error:
        raise DownloadError(f"cannot be read ({error})", str(path), _ways_out(key)) from None
    return path


def _download(url: str, md5: str | None, cache: Path, attempts: int, wait: float, key: str) -> Path:
    if md5 == "":
        raise DownloadError("its checksum is empty", url, f"set ingest.{_md5_key(key)} to it, or to null")
    _remove_leftovers(cache)
    reason, remedy = "", _ways_out(key)
    for attempt in range(1, attempts + 1):
        try:
            return Path(
                pooch.retrieve(
                    url,
                    known_hash=None if md5 is None else f"md5:{md5}",
                    path=cache,
                    downloader=_VerifiedDownload(md5, key),  # pyright: ignore[reportArgumentType] (wrong names)
                )
            )
        except requests.RequestException as error:
            reason, final = _reason(url, error), _is_final(error)
        except ValueError as error:
            reason, final = f"this is no URL ({error})", True
        except DownloadError as error:
            # a cut or garbled transfer is worth another try, the same wrong bytes again are not
            final, reason, remedy = error.what == reason, error.what, error.remedy
        except FileNotFoundError:  # another process removed the file, or the folder, while it was looked at
            reason, final = "what was downloaded vanishes", False
        except OSError as error:
            remedy = "free space or permissions there, or point HIERREC_CACHE to another folder"
            raise DownloadError(f"cannot be written ({error})", str(cache), remedy) from None
        if final or attempt == attempts:
            times = "once" if attempt == 1 else f"{attempt} times"
            raise DownloadError(f"tried {times} to download it, in vain: {reason}", url, remedy)
        time.sleep(wait * 2 ** (attempt - 1))
    raise ValueError("attempts must be at least 1")


def _remove_leftovers(cache: Path) -> None:
    """Remove what downloads that were killed have left (pooch's temporary files); others may still be running."""
    for leftover in cache.glob("tmp*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE:
                leftover.unlink()


class _VerifiedDownload:
    """pooch's download over HTTP, with the checksum checked before pooch moves the file into the cache."""

    def __init__(self, md5: str | None, key: str) -> None:
        self.md5, self.key = md5, key

    def __call__(self, url: str, output_file: str, pooch_: object, check_only: bool = False) -> None:
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty())(url, output_file, pooch_)
        _verify(Path(output_file), self.md5, url, self.key)


def _verify(path: Path, md5: str | None, where: str, key: str) -> None:
    if md5 is None:
        return
    got = pooch.file_hash(str(path), alg="md5")
    if md5 == "":
        remedy = f"set ingest.{_md5_key(key)} to {got}, which this file has, or to null"
        raise DownloadError("its checksum is empty", where, remedy)
    if got != md5:
        kind = "a web page, not the file" if looks_like_html(path) else "another file"
        raise DownloadError(
            f"this is {kind}: md5 {md5} is expected, but its {path.stat().st_size:,} bytes have {got}",
            where,
            f"correct ingest.{_md5_key(key)} if this file is the right one; or {_ways_out(key)}",
        )


def _md5_key(key: str) -> str:
    return "md5" if key == "archive" else f"{key}_md5"


def _ways_out(key: str) -> str:
    local = (
        f"use a file on this machine (ingest.{key}: its path, ingest.{_md5_key(key)}: its checksum or null)"
    )
    return f"{local}, or try the embedded sample with `make demo`" if key == "archive" else local


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except ValueError:  # a null character
        return False


def _reason(url: str, error: requests.RequestException) -> str:
    """Return in one sentence why a request failed: what the server answers, or the operating system's reason."""
    host = urlsplit(url).hostname
    if error.response is not None:
        return f"{host} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"{host} does not answer in time"
    if isinstance(error, ValueError):
        return f"this is no URL ({error})"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    text = (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
    failure = "cannot be reached" if isinstance(error, requests.ConnectionError) else "breaks off"
    return f"{host} {failure} ({' '.join(text.split())})"


def _is_final(error: requests.RequestException) -> bool:
    """Say whether trying again is useless: the server understood and refused, or the URL is malformed."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return 400 <= error.response.status_code < 500 and error.response.status_code not in (408, 429)
    return isinstance(error, ValueError)
