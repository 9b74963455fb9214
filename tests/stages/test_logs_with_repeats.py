"""A log in which users take items again, through all stages: kept whole, and cut in time."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hierrec import Recommender
from hierrec.core.files import read_details
from hierrec.reuse.onnx_export import export_onnx
from safetensors.torch import load_file

from stages.workspace import SAMPLE, make_workspace
from tests.reliability.sample_stages import AFTER_INGEST, run_stages

ALL = ("ingest", *AFTER_INGEST, "evaluate_report")
ITEMS, USERS, DAYS = 30, 60, 40


def shop(folder: Path) -> Path:
    """Write a log: each user walks around a ring of items and repeats the item before last.

    A visit has three items. The next one is three days later.
    """
    generator = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        item, first = int(generator.integers(ITEMS)), int(generator.integers(DAYS // 2))
        taken = [item]
        for step in range(12 + user % 3):
            taken.append(taken[-2] if step % 3 == 2 else (taken[-1] + 1) % ITEMS)
        rows += [(f"u{user}", f"i{item}", first + step // 3 * 3) for step, item in enumerate(taken)]
    path = folder / "log.csv"
    pl.DataFrame(rows, ("CustomerID", "StockCode", "ts"), orient="row").write_csv(path)
    return path


@pytest.mark.parametrize(("split", "targets"), [("leave_one_out", "first"), ("time", "first"), ("time", "all")])
def test_all_stages_read_it(tmp_path: Path, split: str, targets: str) -> None:
    time = "gaps" if targets == "all" else "none"
    params = {
        **SAMPLE,
        "train.time": time,
        "ingest.dataset": "files",
        "ingest.interactions": str(shop(tmp_path)),
        "ingest.split": split,
        "ingest.targets": targets,
        "encode.template": "{title}",
        "encode.whitening_dimension": None,
        "train.epochs": 2,
        "fusion.steps": 4,
        "evaluate.resamples": 50,
    }
    make_workspace(tmp_path / "workspace", params)
    artifacts = run_stages(tmp_path / "workspace", tmp_path / "run", ALL)
    counts = read_details(artifacts / "metrics" / "data.json")
    assert counts["users_with_repeats"] == USERS
    assert ("cut" in counts) == (split == "time")
    metrics = {name: read_details(artifacts / "metrics" / f"{name}.json") for name in ("baselines", "rag")}
    assert "last_taken" in metrics["baselines"]
    ranked = metrics["rag"].get("targets", metrics["rag"]["users"])
    parts = metrics["rag"]["slices"]["target"]
    numbers = {name: part.get("targets", part["users"]) for name, part in parts.items()}
    assert numbers["new"] + numbers["repeated"] == ranked > 20
    assert numbers["repeated"] > 5
    if targets == "all":
        assert ranked == counts["cut"]["test_targets"] > metrics["rag"]["users"]
    recommender = Recommender.load(artifacts / "models" / "rag")
    user = recommender.user("u0")
    model = Recommender.load(artifacts / "models" / "hierarchical")
    same = [item.item_id for item in user.history]  # the same items without times
    assert (model.score(user) == model.score(same)).all() == (time == "none")
    recommended = {item.item_id for item in recommender.recommend(user, k=ITEMS)}
    assert recommended >= {item.item_id for item in user.history}  # items of the history are recommended again
    sessions = split == "time" and targets == "first"
    assert ("session_starts" in pl.read_parquet_schema(artifacts / "data" / "split.parquet")) == sessions
    weights = load_file(artifacts / "models" / "hierarchical" / "model.safetensors")
    assert bool(weights.get("comeback.weight", torch.zeros(1)).any()) == sessions
    if time == "none":  # compares onnxruntime's scores with torch's
        pytest.importorskip("onnxscript", reason="needs hierrec[onnx]")
        export_onnx(artifacts, tmp_path / "onnx")
