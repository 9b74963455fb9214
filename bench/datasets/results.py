"""Collect the results of a run and store them with those of other data sets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrec.core import VARIANTS
from hierrec.core.files import read_details, read_json, write_json

from bench.datasets.settings import DataSet

RESULTS = Path(__file__).parent / "results.json"
COSTS = ("seconds", "cpu_seconds", "peak_mib")


def result(run: Path, data_set: DataSet) -> dict[str, Any]:
    """Return test metrics, counts and costs of a run.

    Args:
        run: folder with `artifacts/`, and `costs.json` if `run_stages` ran the stages; otherwise the costs are null.
        data_set: the data set that was run; the result includes its params.
    """
    metrics = run / "artifacts" / "metrics"
    baselines = read_details(metrics / "baselines.json")
    refit = read_details(metrics / "refit.json") if (metrics / "refit.json").is_file() else {}
    costs = read_json(run / "costs.json") if (run / "costs.json").is_file() else None
    return {
        **{name: _variant(read_details(metrics / f"{name}.json")) for name in VARIANTS},
        "refit": {name: values["test"] for name, values in refit.items()},
        "baselines": {name: values["test"] for name, values in baselines.items()},
        "counts": read_details(metrics / "data.json"),
        "order_of_ties": data_set.order_of_ties,
        "params": data_set.params,
        **{cost: costs and {stage: values[cost] for stage, values in costs.items()} for cost in COSTS},
    }


def _variant(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the test metrics; if users repeat items, also those of new and of repeated targets."""
    by_target = metrics["slices"]["target"]
    return {**metrics["test"], **({"by_target": by_target} if by_target["repeated"]["users"] else {})}


def add(name: str, measured: Mapping[str, Any], path: Path = RESULTS) -> dict[str, Any]:
    """Add a data set's results to the file, keep all other results, and return all."""
    results = read_json(path) if path.is_file() else {}
    results[name] = {**results.get(name, {}), **measured}
    write_json(path, results)
    return results


def add_peer(name: str, peer: str, measured: Mapping[str, Any], path: Path = RESULTS) -> None:
    """Add a peer's results on a data set to the file; keep other peers' results."""
    peers = read_json(path).get(name, {}).get("peers", {}) if path.is_file() else {}
    add(name, {"peers": {**peers, peer: measured}}, path)
