"""A peer beside our variants: the same targets and candidates, ranked by our evaluator."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hierrec.model.inputs import load_inputs

from bench.peers.contestants import PEERS_PYTHON, THEIRS
from bench.peers.quality import SASREC, Products, measure, ranks_of
from bench.peers.split import export_fit

SMALL = {**SASREC, "history": 20, "blocks": 1, "dropout": 0.0, "epochs": 3, "patience": 1, "batch": 32}
SAME_LOSS = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools_data import make_model, read_dataset
from rectools_fit import TargetsAlone
settings = dict(width=16, blocks=1, heads=1, history=20, dropout=0.0, loss="sampled_softmax", negatives=8, batch=16,
                learning_rate=1e-3, device="cpu")
model = make_model(settings, lightning_module_type=TargetsAlone)
model._build_model_from_dataset(read_dataset(Path(sys.argv[2]) / "training.csv"))
module = model.lightning_model
module._xavier_normal_init()
module.log = lambda *_, **__: None
batch = next(iter(model.data_preparator.get_dataloader_train()))
assert (batch["y"] == 0).any()
torch.testing.assert_close(
    module.training_step(batch, 0), TransformerLightningModule.training_step(module, batch, 0)
)
"""


def test_unknown_items_come_last_and_the_rest_by_their_products(artifacts: Path) -> None:
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    sequences, candidates = inputs.sequences, inputs.candidates
    known = np.arange(0, len(candidates), 2)
    states = np.ones((sequences.user_count, 1), np.float32)
    scores = Products(states, -np.arange(len(known), dtype=np.float32)[:, None], known)
    ranks = ranks_of(scores, sequences, candidates)
    for rank, user in zip(ranks, range(sequences.user_count), strict=True):
        left = candidates.copy()
        left[sequences.test_histories()[user]] = False
        target = sequences.test[user]
        if target % 2 == 0:
            assert rank == left[:target:2].sum() + 1
        else:
            assert rank == left[::2].sum() + (left[1::2].sum() + 1) / 2


@pytest.mark.usefixtures("peers")
def test_scoring_targets_alone_is_rectools_loss(artifacts: Path, tmp_path: Path) -> None:
    export_fit(load_inputs(artifacts / "data", artifacts / "item_embeddings").sequences, tmp_path)
    command = [str(PEERS_PYTHON), "-c", SAME_LOSS, str(THEIRS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("peers")
def test_the_peer_learns_and_stops(artifacts: Path) -> None:
    result = measure(artifacts, SMALL, seconds=60, threads=1)
    assert result["recall@20"] > 20 / 300  # chance level
    assert result["epochs"] <= 3
    assert 1 <= result["best_validation"]["epoch"] <= result["epochs"]
    assert result["stopped_by"] in ("patience", "epochs")
    assert result["peak_mib"] > 0
