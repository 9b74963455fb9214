"""Commands that put a model to use elsewhere: `hierrec serve`, `hierrec update` and `hierrec export`."""

from pathlib import Path

import click

from ..core.errors import MachineError, ParamsError, system_reason
from ..core.memory import gc_frozen
from ..serving.artifacts import model_folder, model_version
from .options import FilePath, artifacts_option, check_out, force_option

LOCAL = ("localhost", "127.0.0.1", "::1", "[::1]")
HOST = "Address to listen on. The default is reached from this machine only."


@click.command()
@click.option("--host", default="127.0.0.1", help=HOST)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port; 0: any free port.")
@artifacts_option
def serve(host: str, port: int, artifacts: Path) -> None:
    """Open a page on this machine to try both variants, with JSON endpoints beside it.

    GET /health, /items, /users/ID, /similar; POST /recommend. Needs the extra: pip install 'hierrec[serve]'.
    """
    import socket

    try:
        import uvicorn

        from ..web.app import make_app
    except ModuleNotFoundError as error:
        raise ParamsError(f"{error.name} is not installed", remedy="pip install 'hierrec[serve]'") from None
    with gc_frozen():
        from ..serving.recommend import Recommender

    folder = model_folder(artifacts)
    rag = Recommender.load(folder, variant="rag")
    app = make_app(rag, ["*"] if host not in LOCAL else LOCAL, model_version(folder))
    try:
        family, shown = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        remedy = "choose another port or host: --port, --host"
        raise MachineError(f"cannot listen ({system_reason(error)})", f"{host}:{port}", remedy) from None
    with listener:
        click.echo(f"http://{shown}:{listener.getsockname()[1]}/ (Ctrl-C ends it)")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])


@click.command()
@click.option("--interactions", type=FilePath(), help="Table of user, item and timestamp: file, folder or pattern.")
@click.option(
    "--items", type=FilePath(), help="Table of new items, with the columns of the data's: file, folder or pattern."
)
@click.option("--out", type=FilePath(), help="Folder to write.  [default: live in the artifacts]")
@click.option("--params", type=FilePath(), help="Params.  [default: params.yaml beside the artifacts]")
@artifacts_option
def update(
    interactions: Path | None, items: Path | None, out: Path | None, params: Path | None, artifacts: Path
) -> None:
    """Add interactions, users and items without training, in a folder that serving reads.

    The first update starts from the artifacts, which stay as they are. Later updates start from the written folder.

    Then: hierrec recommend --artifacts artifacts/live --user ID
    """
    from ..params import load_params
    from ..update.update import update as extend

    path = params or artifacts.resolve().parent / "params.yaml"
    if not path.is_file():
        raise ParamsError("file is missing", str(path), "name the params of the training: --params")
    click.echo("\n".join(extend(artifacts, load_params(path), interactions, items, out)))


@click.group()
def export() -> None:
    """Write a model for programs that do not have this package."""


@export.command()
@click.option("--out", type=FilePath(), required=True, help="Folder to write, whole or not at all.")
@force_option
@artifacts_option
def onnx(out: Path, force: bool, artifacts: Path) -> None:
    """Write variant hierarchical for use as ONNX: user tower, keys, ids. Needs: `pip install 'hierrec[onnx]'`."""
    from ..reuse.export import MODEL
    from ..reuse.onnx_export import export_onnx

    check_out(out, True, force, keep=artifacts)
    export_onnx(artifacts, out)
    click.echo(f"{', '.join(MODEL)} written to {out}/")
