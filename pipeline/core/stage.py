"""What every stage shares: params in, typed errors out as one message, a closing summary."""

import ctypes
import gc
import os
import signal
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import create_model

from .errors import HierrecError, ParamsError, memory_needed, unforeseen_errors
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
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
MEMORY = "end other programs, lower the stage's batch_… in params.yaml, or use a machine with more memory"

Summary = list[str]


def stage(
    *sections: str, libraries: tuple[str, ...] = (), processes: bool = False
) -> Callable[[Callable[..., Summary]], "Stage"]:
    """Declare a stage: the sections of params.yaml it reads and the libraries whose version changes its output.

    The decorated function takes one keyword argument per section, annotated with the section's model, and returns its
    closing summary, line by line: none where another process gives it. `processes` says that torchrun
    may start it several times.
    """
    return lambda function: Stage(function, sections, libraries, processes)


class Stage:
    """A stage as a command: exit status 0 and a summary, or 1 and one clear message (`--debug`: a traceback)."""

    def __init__(
        self,
        function: Callable[..., Summary],
        sections: tuple[str, ...],
        libraries: tuple[str, ...],
        processes: bool = False,
    ) -> None:
        self.function, self.sections, self.libraries = function, sections, libraries
        self.processes = processes

    def __call__(self) -> None:
        """Run the stage in the current folder and exit."""
        # Of several processes, the one that started them says that it was stopped.
        signals = () if "WORLD_SIZE" in os.environ else (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signal.SIGINT) is leave:  # from here on there may be work to save
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with (
                ended_by(signals, INTERRUPTED),
                unforeseen_errors(),
                memory_needed("memory ran out", remedy=MEMORY),
            ):
                summary = self._run()
                if summary:
                    _show(summary)
        except HierrecError as error:
            if "--debug" in sys.argv:
                raise
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print(INTERRUPTED, file=sys.stderr)
            sys.exit(128 + signal.SIGINT)

    def _run(self) -> Summary:
        models = get_type_hints(self.function)
        fields: dict[str, Any] = {section: (models[section], ...) for section in self.sections}
        params = read_params(Path("params.yaml"), create_model("Params", __base__=Sections, **fields))
        if not self.processes and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise ParamsError(
                "this stage runs as one process",
                "torchrun",
                "run it without; train_hierarchical alone takes several",
            )
        check_libraries(self.libraries)
        keep_freed_memory()
        return self.function(**{section: getattr(params, section) for section in self.sections})


def _show(summary: Summary) -> None:
    """Print a summary; where nobody reads it any more, nothing: the artifacts are written."""
    try:
        print("\n".join(summary), flush=True)
    except BrokenPipeError:
        discard_output()


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next arrays; where the C library is not glibc, nothing.

    By default glibc hands large arrays back to the system, which clears the pages of the next ones: a sixth of the
    time of an evaluation.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 2**30)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """Hand the memory that this process has freed back to the system; where the C library is not glibc, nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        gc.collect()
        trim(0)


def check_libraries(libraries: tuple[str, ...]) -> None:
    """Refuse to write artifacts with another library version than the one that dvc.lock will record.

    Raises:
        ParamsError: the installed version is not the declared one, or pyproject.toml declares none.
    """
    declared = _declared_libraries() if libraries else {}
    for library in libraries:
        if library not in declared:
            raise ParamsError(f"{library} is not declared", LIBRARIES, "declare its version")
        try:
            installed = version(library).partition("+")[0]
        except PackageNotFoundError:
            installed = "not installed"
        if installed != declared[library]:
            raise ParamsError(
                f"{library} {declared[library]} is declared, but the installed version is {installed}",
                LIBRARIES,
                "use the locked environment (`make env`), or change the declared version on purpose",
            )


def _declared_libraries() -> dict[str, str]:
    try:
        declared = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["hierrec"]["libraries"]
        return {name: str(version) for name, version in declared.items()}
    except (OSError, ValueError) as error:
        raise ParamsError(f"cannot be read: {error}", "pyproject.toml", "restore it from git") from None
    except (KeyError, TypeError, AttributeError):
        raise ParamsError("no libraries are declared", LIBRARIES, "restore it from git") from None
