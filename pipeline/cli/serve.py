"""`hierrec serve`."""

from pathlib import Path

import click

from ..core.errors import MachineError, ParamsError, system_reason
from ..core.memory import no_garbage
from .options import artifacts_option

LOCAL = ("localhost", "127.0.0.1")


@click.command()
@click.option(
    "--host", default="127.0.0.1", help="Address to listen on. The default is reached from this machine only."
)
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
    with no_garbage():
        from ..serving.artifacts import model_folder
        from ..serving.recommend import Recommender

    rag = Recommender.load(model_folder(artifacts), variant="rag")
    app = make_app({"rag": rag, "hierarchical": rag.sequence_model()}, ["*"] if host not in LOCAL else LOCAL)
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        remedy = "choose another port or host: --port, --host"
        raise MachineError(f"cannot listen ({system_reason(error)})", f"{host}:{port}", remedy) from None
    with listener:
        click.echo(f"http://{host}:{listener.getsockname()[1]}/ (Ctrl-C ends it)")
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listener])
