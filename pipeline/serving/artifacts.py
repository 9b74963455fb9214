"""Whether the artifacts are there."""

from pathlib import Path

from ..core.errors import DataError

REMEDY = (
    "run `dvc repro`, which builds all of them, or `dvc pull`; `make demo` leaves those of the sample in"
    " .demo/artifacts (--artifacts .demo/artifacts)"
)


def require(*paths: Path) -> None:
    """Check that artifacts are there.

    Raises:
        DataError: names all that are missing.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"artifacts are missing: {', '.join(missing)}", remedy=REMEDY)


def require_model(folder: Path) -> None:
    """Refuse a folder that holds no model where others near it do, and name them.

    Raises:
        DataError: it holds none.
    """
    if any((folder / name).is_file() for name in ("config.json", "model.safetensors", "fusion.safetensors")):
        return  # a model, maybe a damaged one
    near = [*folder.glob("*/config.json"), *folder.glob("models/*/config.json")]
    near = near or [*folder.parent.glob("*/config.json")]
    if near:
        problem = "holds no model" if folder.is_dir() else "there is no such folder"
        models = ", ".join(str(config.parent) for config in sorted(near))
        raise DataError(problem, str(folder), f"name a model: {models}")
