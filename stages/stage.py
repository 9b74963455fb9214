"""What every stage shares: params in, typed errors out as one message, a closing summary, the cache's place."""

import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pooch
from hierrec.errors import HierrecError, ParamsError
from hierrec.params import load_params

ARTIFACTS = Path("artifacts")
DATA = ARTIFACTS / "data"
ITEM_EMBEDDINGS = ARTIFACTS / "item_embeddings"
INDEX = ARTIFACTS / "index"
MODELS = ARTIFACTS / "models"
METRICS = ARTIFACTS / "metrics"
PLOTS = ARTIFACTS / "plots"

Summary = list[str]


def stage(*sections: str, libraries: tuple[str, ...] = ()) -> Callable[[Callable[..., Summary]], "Stage"]:
    """Declare a stage: the sections of params.yaml it reads and the libraries whose version changes its output.

    The decorated function takes one keyword argument per section and returns its closing summary, line by line.
    """
    return lambda function: Stage(function, sections, libraries)


class Stage:
    """A stage as a command: exit status 0 and a summary, or 1 and one clear message."""

    def __init__(
        self, function: Callable[..., Summary], sections: tuple[str, ...], libraries: tuple[str, ...]
    ) -> None:
        self.function, self.sections, self.libraries = function, sections, libraries

    def __call__(self) -> None:
        """Run the stage in the current folder and exit."""
        try:
            check_libraries(self.libraries)
            params = load_params(Path("params.yaml"))
            summary = self.function(**{section: getattr(params, section) for section in self.sections})
        except HierrecError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        print("\n".join(summary))


def check_libraries(libraries: tuple[str, ...]) -> None:
    """Refuse to write artifacts with another library version than the one that dvc.lock will record."""
    import tomllib

    declared = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["hierrec"]["libraries"]
    for library in libraries:
        try:
            installed = version(library).partition("+")[0]
        except PackageNotFoundError:
            installed = "not installed"
        if installed != declared[library]:
            raise ParamsError(
                f"{library} {declared[library]} is declared, but the installed version is {installed}",
                "pyproject.toml, key tool.hierrec.libraries",
                "use the locked environment (`make env`), or change the declared version on purpose",
            )


def cache_dir(name: str) -> Path:
    """Return the folder of a cache outside the stages' outs, which DVC removes before a stage runs.

    `HIERREC_CACHE` overrides the user's cache folder. Everything in it is keyed on content, so that checkouts
    share it, and it can be removed at any time.
    """
    root = os.environ.get("HIERREC_CACHE")
    folder = (Path(root) if root else Path(pooch.os_cache("hierrec"))) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
