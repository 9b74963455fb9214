"""Whether the artifacts are there."""

from pathlib import Path

from ..core.errors import DataError

REMEDY = (
    "run `dvc repro`, which builds all of them, or `dvc pull`; `make demo` leaves those of the sample in"
    " .demo/artifacts (--artifacts .demo/artifacts)"
)


def model_folder(artifacts: Path, variant: str = "rag") -> Path:
    """Return the model that recommends by default: the one fitted on all items, else the variant's measured one."""
    final = artifacts / "models" / "final"
    return final if (final / "config.json").is_file() else artifacts / "models" / variant


def require(*paths: Path) -> None:
    """Check that artifacts are there.

    Raises:
        DataError: names all that are missing.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"artifacts are missing: {', '.join(missing)}", remedy=REMEDY)
