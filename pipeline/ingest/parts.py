"""A table of several files in the order of their names: a folder, or a pattern such as `/data/part-*.parquet`."""

import glob
import os
from pathlib import Path

from ..core.errors import DownloadError
from .download import fetch
from .sources import md5_of


def fetch_parts(source: str, md5: str | None, cache: Path, key: str) -> list[Path]:
    """Return the files of a table: one (see `fetch`), or those of a folder or pattern, sorted by path.

    In a folder, files whose names start with `.` or `_` do not count. Interactions at the same time keep the order of
    their files.

    Args:
        source: a URL, a path, or a pattern of paths (`*`, `?`, `[…]`, and `**` for folders in folders).
        md5: checksum of the files' bytes, one file after the other (`cat … | md5sum`); None: not checked.
        cache: folder of downloads.
        key: the param `ingest.<key>` that names the source, for messages.

    Raises:
        DownloadError: there is no such file, or the files have another checksum.
    """
    path = Path(os.path.expanduser(source))
    if "://" in source or path.is_file():
        return [fetch(source, md5, cache, key=key)]
    if path.is_dir():
        paths = _files(path, key)
    elif glob.has_magic(source):
        paths = sorted(found for found in map(Path, glob.glob(str(path), recursive=True)) if found.is_file())
    else:
        return [fetch(source, md5, cache, key=key)]
    if not paths:
        what = "the folder holds no file" if path.is_dir() else "no file matches this pattern"
        raise DownloadError(what, source, f"correct ingest.{key}")
    if md5 is not None and (got := md5_of(paths)) != md5:
        what = f"the checksum does not match: md5 {md5} is expected, but these {len(paths)} files have {got}"
        raise DownloadError(what, source, f"correct ingest.{key}_md5 if these files are the right ones")
    return paths


def _files(folder: Path, key: str) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    for path in paths:
        if path.is_dir():
            remedy = f"take a pattern: ingest.{key}: {folder}/**/*.parquet"
            raise DownloadError(f"holds a folder, {path.name}", str(folder), remedy)
    return paths
