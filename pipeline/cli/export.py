"""`hierrec export`: a model for programs without this package."""

from pathlib import Path

import click

from .options import FilePath, artifacts_option, force_option, replacing


@click.group()
def export() -> None:
    """Write a model for programs that do not have this package."""


@export.command()
@click.option("--out", type=FilePath(), required=True, help="Folder to write, whole or not at all.")
@force_option
@artifacts_option
def onnx(out: Path, force: bool, artifacts: Path) -> None:
    """Write variant hierarchical as ONNX: user tower, item keys and ids. Needs `pip install 'hierrec[onnx]'`."""
    from ..reuse.export import MODEL
    from ..reuse.onnx_export import export_onnx

    with replacing(out, True, force, keep=artifacts):
        export_onnx(artifacts, out)
    click.echo(f"{', '.join(MODEL)} written to {out}/")
