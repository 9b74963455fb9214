"""What a run came out at, kept beside the results of other data sets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrec.core import VARIANTS
from hierrec.core.files import read_json, write_json

RESULTS = Path(__file__).parent / "results.json"
COSTS = ("seconds", "cpu_seconds", "peak_mib")


def result(run: Path, order_of_ties: str) -> dict[str, Any]:
    """Return test metrics, counts and costs of a run.

    Args:
        run: folder with `artifacts/`, and with `costs.json` where `run_stages` ran the stages; else the costs are null.
        order_of_ties: order of a user's interactions of one time.
    """
    metrics = run / "artifacts" / "metrics"
    baselines = read_json(metrics / "baselines.json")
    costs = read_json(run / "costs.json") if (run / "costs.json").is_file() else None
    return {
        **{
            name: read_json(metrics / f"{name}.json")["test"]
            for name in VARIANTS
            if (metrics / f"{name}.json").is_file()
        },
        "baselines": {name: values["test"] for name, values in baselines.items()},
        "counts": read_json(metrics / "data.json"),
        "order_of_ties": order_of_ties,
        **{cost: costs and {stage: values[cost] for stage, values in costs.items()} for cost in COSTS},
    }


def add(name: str, measured: Mapping[str, Any], path: Path = RESULTS) -> dict[str, Any]:
    """Put the result of a data set into the file; those of the others stay. Returns all of them."""
    results = read_json(path) if path.is_file() else {}
    results[name] = measured
    write_json(path, results)
    return results
