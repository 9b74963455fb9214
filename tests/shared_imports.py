"""`python`, `dvc` and `hierrec` as forks of one process that has imported the libraries.

The commands lie in a folder for the PATH. Each is a process of its own, in its folder, with its environment and its
streams; it has not imported this project's code before. It saves the import of torch, transformers and DVC, which
takes longer than the work of most stages. tests/reliability/test_kills.py and test_same_numbers.py run stages without
this.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    *("torch", "transformers.models.phi3.modeling_phi3", "transformers.models.t5.modeling_t5", "tokenizers"),
    *("faiss", "polars", "pyarrow.parquet", "scipy.sparse", "sklearn.decomposition", "jinja2", "pydantic"),
    *("ruamel.yaml", "dvc.cli.parser", "dvc.repo", "dvc.repo.reproduce", "dvc.stage.run"),
)
MODULES = {"dvc": ["-m", "dvc"], "hierrec": ["-m", "hierrec"], "python": []}
"""Commands with their leading arguments."""

CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
arguments = [*{before}, *sys.argv[1:]]
if arguments[:1] == ["-u"]:  # torchrun's
    del arguments[0]
if not arguments or arguments[0].startswith("-") and arguments[0] not in ("-m", "-c"):
    os.execv({python!r}, [{python!r}, *arguments])
request = {{"arguments": arguments, "folder": os.getcwd(), "variables": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"-"], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\\n")
    fork = int(server.recv(8))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(fork, number))
    status = int(server.recv(8))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def sharing(folder: Path) -> dict[str, str]:
    """Return the environment variables for commands in a workspace that share their imports."""
    from stages.workspace import environment  # not in the server

    variables = environment(folder)
    python = {"PYTHON_EXEC": str(commands() / "python")}  # which torchrun starts
    return {**variables, **python, "PATH": f"{commands()}{os.pathsep}{variables['PATH']}"}


@cache
def commands() -> Path:
    """Start the server, which ends with this process; return the folder of the commands."""
    temporary = tempfile.TemporaryDirectory(prefix="shared-imports-")
    folder = Path(temporary.name)
    address = str(folder / "socket")
    for name, before in MODULES.items():
        (folder / name).write_text(CLIENT.format(python=sys.executable, before=before, address=address))
        (folder / name).chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, __file__, address], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    atexit.register(temporary.cleanup)
    atexit.register(server.communicate)  # closes its stdin
    return folder


def serve(address: str) -> dict[str, Any]:
    """Fork for each request; in the fork, set its streams and return the request."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        print("ready", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork():
                    continue
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _, streams, _, _ = socket.recv_fds(connection, 1, 3)
                request = json.loads(connection.makefile("rb").readline())
                if not (pid := os.fork()):
                    for number, stream in enumerate(streams):
                        os.dup2(stream, number)
                        os.close(stream)
                    return request
                connection.sendall(b"%8d" % pid)
                if connection in select.select([connection, os.pidfd_open(pid)], [], [])[0]:
                    os.kill(pid, signal.SIGKILL)  # as the command was
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(OSError):
                    connection.sendall(b"%8d" % status)
                os._exit(0)
    sys.exit()


def become(request: dict[str, Any]) -> None:
    """Run the module, the code or the script of a request, as Python does."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.path[0] = request["folder"]
    sys.path[1:1] = [path for path in request["variables"].get("PYTHONPATH", "").split(os.pathsep) if path]
    first, *_ = sys.argv = request["arguments"]
    if first not in ("-m", "-c"):
        sys.path[0] = str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")
        return
    program = sys.argv.pop(1)
    if first == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(program, {"__name__": "__main__"})


def end(status: int) -> NoReturn:
    """Exit without tearing down the imports, which takes most of a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    request = serve(sys.argv[1])
    try:
        become(request)
    except SystemExit as exit:
        end(exit.code if isinstance(exit.code, int) else exit.code is not None)
    except BaseException:
        traceback.print_exc()
        end(1)
    end(0)
