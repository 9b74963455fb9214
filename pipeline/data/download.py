"""The archive on this machine: a local file used in place, or a download, fetched once; both verified."""

import os
import sys
import time
from pathlib import Path

import pooch
import requests

from ..errors import DownloadError
from .archive import looks_like_html

WAYS_OUT = (
    "use an archive on this machine (ingest.archive: its path, ingest.md5: its checksum or null), "
    "or try the embedded sample with `make demo`"
)


def fetch(archive: str, md5: str | None, cache: Path, attempts: int = 4, wait: float = 1.0) -> Path:
    """Return the path of an archive, downloaded into ``cache`` if it is a URL and not there yet.

    Args:
        archive: an http or https URL, or a path (`~` is expanded), which is used in place.
        md5: checksum as 32 hex digits; None: not checked.
        cache: folder of downloads. A file there is used again if its checksum is right.
        attempts: tries before giving up; an answer such as 404 is final at once.
        wait: seconds before the second try, doubled before each further one.

    Raises:
        DownloadError: the file is missing, unreachable, or not the one that ``md5`` describes.
    """
    scheme = archive.partition("://")[0].lower() if "://" in archive else ""
    if scheme in ("http", "https"):
        return _download(archive, md5, cache, attempts, wait)
    if scheme:
        raise DownloadError(f"{scheme} is not supported", archive, f"use http or https; or {WAYS_OUT}")
    path = Path(os.path.expanduser(archive))
    if not path.is_file():
        raise DownloadError("no such file", str(path), f"correct ingest.archive; or {WAYS_OUT}")
    try:
        _verify(path, md5, str(path))
    except OSError as error:
        raise DownloadError(f"cannot be read ({error})", str(path), WAYS_OUT) from None
    return path


def _download(url: str, md5: str | None, cache: Path, attempts: int, wait: float) -> Path:
    reason, remedy = "", WAYS_OUT
    for attempt in range(1, attempts + 1):
        try:
            return Path(
                pooch.retrieve(
                    url,
                    known_hash=None if md5 is None else f"md5:{md5}",
                    path=cache,
                    downloader=_VerifiedDownload(md5),  # pyright: ignore[reportArgumentType] (wrong names)
                )
            )
        except requests.RequestException as error:
            reason, final = str(error) or type(error).__name__, _is_final(error)
        except ValueError as error:
            reason, final = f"this is no URL ({error})", True
        except DownloadError as error:
            # a cut or garbled transfer is worth another try, the same wrong bytes again are not
            final, reason, remedy = error.what == reason, error.what, error.remedy
        except OSError as error:
            remedy = "free space or permissions there, or point HIERREC_CACHE to another folder"
            raise DownloadError(f"cannot be written ({error})", str(cache), remedy) from None
        if final or attempt == attempts:
            times = "once" if attempt == 1 else f"{attempt} times"
            raise DownloadError(f"tried {times} to download it, in vain: {reason}", url, remedy)
        time.sleep(wait * 2 ** (attempt - 1))
    raise ValueError("attempts must be at least 1")


class _VerifiedDownload:
    """pooch's download over HTTP, with the checksum checked before pooch moves the file into the cache."""

    def __init__(self, md5: str | None) -> None:
        self.md5 = md5

    def __call__(self, url: str, output_file: str, pooch_: object, check_only: bool = False) -> None:
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty())(url, output_file, pooch_)
        _verify(Path(output_file), self.md5, url)


def _verify(path: Path, md5: str | None, where: str) -> None:
    if md5 is None:
        return
    got = pooch.file_hash(str(path), alg="md5")
    if got != md5:
        kind = "a web page, not an archive" if looks_like_html(path) else "another file"
        raise DownloadError(
            f"this is {kind}: md5 {md5} is expected, but its {path.stat().st_size:,} bytes have {got}",
            where,
            f"correct ingest.md5 if this file is the right one; or {WAYS_OUT}",
        )


def _is_final(error: requests.RequestException) -> bool:
    """Say whether trying again is useless: the server understood and refused, or the URL is malformed."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return 400 <= error.response.status_code < 500 and error.response.status_code not in (408, 429)
    return isinstance(error, ValueError)
