"""`python -m bench.peers.quality NAME --run FOLDER`: train and rank RecTools' SASRec or eSASRec on our data sets.

The peer reads the items, the split and the setting for repeated items from a run of `bench.datasets`, and stops early
on the validation targets. Our evaluator ranks its scores. bench/datasets/results.json stores the result, under the key
`peers` of the data set.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from hierrec.core.sequences import Sequences
from hierrec.model.inputs import load_inputs
from hierrec.ranking.evaluator import rank_in_batches
from hierrec.ranking.metrics import metrics_from_ranks
from numpy.typing import NDArray
from torch import Tensor

from bench.datasets.results import RESULTS, add_peer
from bench.datasets.table import PEERS
from bench.machine import describe_machine
from bench.peers.contestants import missing, rectools_fit, run_contestant
from bench.peers.split import export_fit

SASREC: dict[str, Any] = {
    "heads": 1,
    "width": 64,
    "loss": "sampled_softmax",
    "negatives": 256,
    "batch": 128,
    "learning_rate": 1e-3,
    "epochs": 200,
    "patience": 10,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "beauty": {**SASREC, "history": 50, "blocks": 1, "dropout": 0.2},
    "ciao": {**SASREC, "history": 50, "blocks": 1, "dropout": 0.2},
    "ml-100k": {**SASREC, "history": 200, "blocks": 2, "dropout": 0.1, "batch": 32},
    "retail": {**SASREC, "history": 200, "blocks": 2, "dropout": 0.1, "batch": 32},
}
"""Settings of the eSASRec benchmark (blondered/transformer_benchmark), where patience is 50 epochs. Ciao has the
settings of Beauty. MovieLens-100K and Retail have those of MovieLens-1M, whose histories are as long, but 32 users a
batch: 128 would give 8 and 34 steps an epoch."""
LAYERS: dict[str, dict[str, Any]] = {"sasrec": {}, "esasrec": {"layers": "ligr", "width": 256}}
"""Changes of a peer to these settings: eSASRec is SASRec with sampled softmax, LiGR blocks (arXiv 2508.06450) and its
benchmark's width."""
BATCH_USERS = 256


def measure(artifacts: Path, settings: Mapping[str, Any], seconds: float, threads: int) -> dict[str, Any]:
    """Train the peer on a run's data and rank the test targets.

    Args:
        artifacts: folder of the run.
        settings: of the model.
        seconds: CPU seconds after which the training ends at the end of its epoch.
        threads: of the training.

    Returns:
        Test metrics; `best_validation`, the best epoch; `epochs`, `stopped_by`, the costs of training and validation,
        and `settings`.

    Raises:
        ModelError: the training failed.
    """
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    common = {"seconds": seconds, "threads": threads, "device": "cpu", "seed": 1}
    common["repeated"] = inputs.sequences.repeated
    with TemporaryDirectory() as temporary:
        split, out = Path(temporary), Path(temporary) / "out"
        out.mkdir()
        export_fit(inputs.sequences, split)
        curve = run_contestant(rectools_fit(settings), split, common, out)
        names = ("states", "items", "item_ids")
        scores = Products(*(np.load(out / f"{name}.npy", allow_pickle=False) for name in names))
    best, last = max(curve, key=lambda line: line["ndcg@10"]), curve[-1]
    stale = last["epoch"] - best["epoch"] >= settings["patience"]
    return {
        **metrics_from_ranks(ranks_of(scores, inputs.sequences, inputs.candidates)),
        "best_validation": {"epoch": best["epoch"], "ndcg@10": best["ndcg@10"]},
        "epochs": last["epoch"],
        "stopped_by": "patience" if stale else "seconds" if last["cpu_seconds"] >= seconds else "epochs",
        "cpu_seconds": round(last["cpu_seconds"], 1),
        "seconds": round(last["wall_seconds"], 1),
        "peak_mib": last["peak_memory_mib"],
        "settings": {**settings, "cpu_seconds_at_most": seconds},
    }


class Products:
    """Scores as products of vectors; unknown items score below all others, and tie.

    Args:
        states: float32 [U, D], users before their test targets.
        items: float32 [m, D].
        item_ids: int64 [m], rows of the item table.
    """

    def __init__(self, states: NDArray[np.float32], items: NDArray[np.float32], item_ids: NDArray[np.int64]) -> None:
        self.states, self.items = torch.from_numpy(states), torch.from_numpy(items)
        self.item_ids = torch.from_numpy(item_ids)

    def score(self, users: NDArray[np.int64], item_count: int) -> Tensor:
        """Return scores of the full catalogue [B, n] for the users int64 [B]."""
        scores = torch.full((len(users), item_count), torch.finfo(torch.float32).min)  # [B, n]
        scores[:, self.item_ids] = self.states[torch.from_numpy(users)] @ self.items.T
        return scores


def ranks_of(scores: Products, sequences: Sequences, candidates: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the ranks of the test targets among the candidates bool [n], the same as for our variants."""
    return rank_in_batches(
        lambda users: scores.score(users, len(candidates)),
        sequences.test_histories(),
        sequences.test,
        candidates,
        BATCH_USERS,
        sequences.repeated,
    )


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.argument("name", type=click.Choice(sorted(SETTINGS)))
@click.option(
    "--run",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder --work of bench.datasets.",
)
@click.option("--peer", type=click.Choice(sorted(LAYERS)), default="sasrec", show_default=True)
@click.option("--seconds", type=float, default=7200, help="Limit of CPU seconds for training.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Threads of the training.")
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path), help="Default: bench/datasets/results.json.")
def main(name: str, run: Path, peer: str, seconds: float, threads: int, out: Path) -> None:
    """Measure, and add the result to those of our variants."""
    if reason := missing():
        raise click.ClickException(reason)
    measured = measure(run / "artifacts", SETTINGS[name] | LAYERS[peer], seconds, threads)
    add_peer(name, PEERS[peer], {**measured, "machine": describe_machine("cpu")}, out)
    click.echo(", ".join(f"{metric} {value:.4f}" for metric, value in measured.items() if "@" in metric))


if __name__ == "__main__":
    main()
