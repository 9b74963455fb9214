"""Files of metrics, as the evaluation writes them."""

from pathlib import Path
from typing import Any

from hierrec.core.files import write_json

SPLITS: dict[str, Any] = {
    "validation": {"ndcg@10": 0.5, "recall@10": 0.25},
    "test": {"ndcg@10": 0.125, "recall@10": 1.0},
}


def write_metrics(folder: Path, rag: Any = SPLITS) -> None:
    write_json(folder / "metrics" / "data.json", [{"users": 1200, "items": 30}])
    write_json(folder / "metrics" / "hierarchical.json", SPLITS)
    write_json(folder / "metrics" / "rag.json", rag)
