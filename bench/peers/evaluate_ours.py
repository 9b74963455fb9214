"""Time our evaluation of all test targets, or a plain loop over users.

`python -m bench.peers.evaluate_ours SPLIT SETTINGS OUT`, with the arguments of the peers' scripts.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hierrec.core.memory import keep_freed_memory
from hierrec.core.sequences import NO_TARGET
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import load_inputs
from hierrec.model.scorer import Scorer
from hierrec.model.sources import ANONYMOUS
from hierrec.ranking.evaluator import rank_targets
from hierrec.ranking.metrics import metrics_from_ranks
from numpy.typing import NDArray

from bench.peers.theirs.record import Stopwatch, append, peak_memory, reset_peak


def main(_: Path, settings: dict[str, Any], out: Path) -> None:
    """Evaluate once for each number of users in the settings; write a line for each."""
    torch.set_num_threads(settings["threads"])
    keep_freed_memory()  # as the stage does
    artifacts = Path(settings["artifacts"])
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    model = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash)
    # The loop has the faster scorer, which computes the item keys once.
    repeated = inputs.sequences.repeated
    one_by_one = Scorer(model, inputs.candidates, dtype=torch.float32, sequences=inputs.sequences)
    scorer = Scorer(model, inputs.candidates, dtype=getattr(torch, settings["dtype"]), sequences=inputs.sequences)
    users = np.flatnonzero(inputs.sequences.test != NO_TARGET)
    everyone = inputs.sequences.test_histories()
    for count in settings["users"]:
        chosen = users[np.linspace(0, len(users), count, endpoint=False).astype(int)]  # every k-th
        histories, targets = [everyone[user] for user in chosen], inputs.sequences.test[chosen]
        reset_peak()
        before, watch = peak_memory(), Stopwatch()
        if settings["way"] == "loop":
            ranks = loop(one_by_one, histories, targets)
        else:
            batch = settings["batch_users"]
            ranks = rank_targets(scorer, histories, targets, inputs.candidates, batch, repeated=repeated)
        metrics = metrics_from_ranks(ranks)
        times = watch.read()
        append(out, {**times, "users": len(chosen), "memory_mib": peak_memory() - before, **metrics})


def loop(scorer: Scorer, histories: list[NDArray[np.int64]], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rank one user at a time in the simplest way: score, sort, look up the target."""
    ranks = []
    for history, target in zip(histories, targets, strict=True):
        scores = scorer.score([history], np.array([ANONYMOUS])).scores[0].numpy()  # [n], -inf for the history
        ranking = np.argsort(-scores)
        ranks.append(int(np.flatnonzero(ranking == target)[0]) + 1)
    return np.array(ranks, np.float64)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
