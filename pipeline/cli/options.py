"""Options that several commands share."""

import os
from pathlib import Path
from typing import Any

import click

from ..core.errors import ParamsError


class FilePath(click.Path):
    """A path whose name is UTF-8. Some libraries cannot open other names."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the path.

        Raises:
            ParamsError: its name is not UTF-8.
        """
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
