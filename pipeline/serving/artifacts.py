"""Whether the artifacts are there, and the counts of the data."""

from pathlib import Path
from typing import Any, TypeGuard

from ..core.errors import DataError
from ..core.files import CHECKSUMS, read_details, sha256_file

REMEDY = (
    "run `dvc repro`, which builds all of them, or `dvc pull`; `make demo` leaves those of the sample in"
    " .demo/artifacts (--artifacts .demo/artifacts)"
)


def model_folder(artifacts: Path, variant: str = "rag") -> Path:
    """Return the folder of the default model: `final`, which is fitted on all items, else the variant's own model."""
    final, both = artifacts / "models" / "final", artifacts / "models" / "rag"
    if (final / "config.json").is_file():
        return final
    own = artifacts / "models" / variant
    return own if own.is_dir() or not both.is_dir() else both  # `hierrec update` writes `rag` alone


def model_version(folder: Path) -> str:
    """Return the name of a model's folder, and the first digits of the SHA-256 of its checksums.json."""
    sums = folder / CHECKSUMS
    return f"{folder.name} {sha256_file(sums)[:12]}" if sums.is_file() else folder.name


def require(*paths: Path) -> None:
    """Raise ``DataError``, which names all artifacts that are missing, if one is."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"artifacts are missing: {', '.join(missing)}", remedy=REMEDY)


def read_counts(metrics: Path) -> tuple[dict[str, int], dict[str, float]]:
    """Read `data.json` in the folder of the metrics: counts of the data, and counts of a split by time, maybe empty.

    Raises ``DataError`` if the file is missing or damaged, or a value in it is no count.
    """
    path = metrics / "data.json"
    counts = read_details(path)
    cut = counts.pop("cut", {}) if isinstance(counts, dict) else None
    if not (are_numbers(counts, 1e300, int) and are_numbers(cut, 1e300)):
        raise DataError("holds no counts of the data", str(path), "run `dvc repro`")
    return counts, cut


def are_numbers(content: Any, most: float, kind: Any = int | float) -> TypeGuard[dict[str, Any]]:
    """Whether content is a dict from printable names to numbers of a kind, from 0 to `most`."""
    return isinstance(content, dict) and all(
        name.isprintable() and isinstance(value, kind) and not isinstance(value, bool) and 0 <= value <= most
        for name, value in content.items()
    )


def require_model(folder: Path) -> None:
    """Raise ``DataError`` if a folder holds no model, or is missing beside models; the message lists models near it."""
    if any((folder / name).is_file() for name in ("config.json", "model.safetensors", "fusion.safetensors")):
        return  # a model, maybe a damaged one
    places = (folder, folder / "models", *([folder.parent] if folder.parent.name == "models" else []))
    near = sorted({str(found.parent) for place in places for found in place.glob(f"*/{CHECKSUMS}")})
    if not near and folder.parent.name == "models" and not folder.exists():
        return  # `require` names all artifacts that are missing
    problem = "holds no model" if folder.is_dir() else "there is no such folder"
    raise DataError(problem, str(folder), f"name a model: {', '.join(near)}" if near else REMEDY)
