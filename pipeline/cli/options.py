"""Options that several commands share, and what `--out` and `--force` may replace."""

import os
from pathlib import Path
from typing import Any

import click

from ..core.errors import DataError, ParamsError, StoreError


class FilePath(click.Path):
    """A path whose name is UTF-8. Some libraries cannot open other names."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; raise ``ParamsError`` if it is a URL, or its name is not UTF-8."""
        if "://" in str(value):
            raise ParamsError("URLs are not read here", str(value), "name a file or folder of this machine")
        try:
            os.fspath(value).encode("utf-8")
        except UnicodeEncodeError:
            remedy = "use another name; if it is UTF-8, set the environment variable LC_ALL to C.UTF-8"
            raise ParamsError("the name is not UTF-8", ascii(os.fspath(value)), remedy) from None
        return super().convert(value, param, ctx)


ARTIFACTS = "Folder that the stages wrote; after `make demo`, .demo/artifacts."
artifacts_option = click.option("--artifacts", type=FilePath(), default=Path("artifacts"), help=ARTIFACTS)
count_option = click.option("-k", "count", type=click.IntRange(1), default=10, help="How many items.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
force_option = click.option("--force", is_flag=True, help="Replace an existing file or folder.")


def can_replace_store(folder: Path) -> bool:
    """Whether a folder is empty, or holds a store that is read here and nothing else: encoding again can replace it."""
    from ..store.store_files import MANIFEST, files_of, read_manifest

    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir()}
    try:
        return not names or names <= {MANIFEST, *files_of(read_manifest(folder))}
    except StoreError:
        return False


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds only a store or an export: it may be replaced."""
    from ..reuse.export import is_export

    files = all(entry.is_file() and not entry.is_symlink() for entry in folder.iterdir())
    return files and (can_replace_store(folder) or is_export(folder))


def check_out(out: Path, is_folder: bool, force: bool, keep: Path) -> None:
    """Raise ``DataError`` if writing to `out` would destroy something, such as the input `keep`.

    `is_folder` says that the output is a folder; `force`, that it may exist already.
    """
    target, source, here = out.resolve(), keep.resolve(), Path.cwd().resolve()
    what, remedy = None, "choose another place: --out"
    if target.is_relative_to(source) or source.is_relative_to(target) or here.is_relative_to(target):
        what = f"would replace the current folder or {keep}, or write into one of them"
    elif out.is_symlink() or (out.exists() and not (out.is_dir() if is_folder else out.is_file())):
        what = f"exists and is not a {'folder' if is_folder else 'regular file'}"
    elif out.exists() and not force:
        what, remedy = "exists already", "choose another place, or replace it: --force"
    elif is_folder and out.exists() and not _is_ours(out):
        what = "holds files that this version of hierrec did not write, or a damaged store; --force does not replace it"
    if what:
        raise DataError(what, str(out), remedy)
