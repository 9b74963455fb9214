"""The frame of a stage: it reads params, runs, and prints a summary or one error message."""

import gc
import os
import signal
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import create_model

from .errors import ParamsError, reported_errors
from .memory import keep_freed_memory
from .params import Sections, read_params
from .signals import INTERRUPTED, discard_output, ended_by, leave

ARTIFACTS = Path("artifacts")
DATA = ARTIFACTS / "data"
ITEM_EMBEDDINGS = ARTIFACTS / "item_embeddings"
INDEX = ARTIFACTS / "index"
MODELS = ARTIFACTS / "models"
METRICS = ARTIFACTS / "metrics"
PLOTS = ARTIFACTS / "plots"
RANKS = ARTIFACTS / "ranks"
LIBRARIES = "pyproject.toml, key tool.hierrec.libraries"
MEMORY = "end other programs, lower the stage's batch_… in params.yaml, or use a machine with more memory"

Summary = list[str]


@dataclass(frozen=True)
class Stage:
    """A stage as a command. Exit status 0 and a summary, or 1 and one message (with `--debug` a traceback).

    The function's parameters are sections of params.yaml, each annotated with the section's model. It returns the
    lines of its summary; a process that prints no summary returns an empty list.
    """

    function: Callable[..., Summary]
    processes: bool = False

    @property
    def sections(self) -> dict[str, Any]:
        """The sections of params.yaml that the stage reads, with their models."""
        return {name: kind for name, kind in get_type_hints(self.function).items() if name != "return"}

    def __call__(self) -> None:
        """Run the stage in the current folder and exit."""
        if not gc.isenabled():  # while libraries were imported
            gc.freeze()
            gc.enable()
        # Of several processes, only the one that started the others reports the signal.
        signals = () if "WORLD_SIZE" in os.environ else (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signal.SIGINT) is leave:  # from here on there may be work to save
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with ended_by(signals, INTERRUPTED), reported_errors("--debug" in sys.argv, MEMORY):
                summary = self._run()
                try:
                    if summary:
                        print("\n".join(summary), flush=True)
                except BrokenPipeError:  # no error: the artifacts are written already
                    discard_output()
        except KeyboardInterrupt:
            print(INTERRUPTED, file=sys.stderr)
            sys.exit(128 + signal.SIGINT)

    def _run(self) -> Summary:
        fields: dict[str, Any] = {name: (kind, ...) for name, kind in self.sections.items()}
        params = read_params(Path("params.yaml"), create_model("Params", __base__=Sections, **fields))
        if not self.processes and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            remedy = "run it without torchrun; train_hierarchical, train@refit and train@final can use it"
            raise ParamsError("this stage runs in one process", "torchrun", remedy)
        check_libraries()
        keep_freed_memory()
        return self.function(**{name: getattr(params, name) for name in fields})


SharedStage = partial(Stage, processes=True)  # a stage that torchrun may start in several processes


def check_libraries() -> None:
    """Raise ``ParamsError`` if a library's version is not the one in pyproject.toml, which dvc.lock records."""
    try:
        project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
        declared = project["tool"]["hierrec"]["libraries"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"cannot be read ({type(error).__name__}: {error})"
        raise ParamsError(what, LIBRARIES, "restore it from git") from None
    for library, wanted in declared:
        try:
            installed = version(library).partition("+")[0]
        except PackageNotFoundError:
            installed = "not installed"
        if installed != wanted:
            what = f"{library} {wanted} is declared, but the installed version is {installed}"
            remedy = "use the locked environment (`make env`), or change the declared version on purpose"
            raise ParamsError(what, LIBRARIES, remedy)
