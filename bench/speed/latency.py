"""`python -m bench.speed.latency`: time the top 20 of one user at a time, with a loaded model.

The users cover all history lengths. Each query is the ids of a user's latest `train.history` items.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import faiss
import numpy as np
import torch
from hierrec import Recommender
from hierrec.core.sequences import Sequences
from hierrec.model.checkpoint import load_model
from hierrec.model.ensemble import UserModel
from hierrec.model.inputs import Inputs, load_inputs
from hierrec.ranking.ranking import excluded_items
from numpy.typing import NDArray

from bench.peers.command import run
from bench.peers.decoding import every_kth_by_length
from bench.speed.options import artifacts_option, options

TOP = 20
WARM = 10
HIERARCHICAL, RAG, PLAIN = "hierarchical", "rag", "plain forward"

Answer = Callable[[list[str]], list[str]]
"""Function from a history to the best items, both as ids."""


def compare(artifacts: Path, users: int, rounds: int, threads: int) -> dict[str, Any]:
    """Time all contestants, alternating user by user.

    Args:
        artifacts: folder of data, store, index and models.
        users: number of users per round.
        rounds: number of rounds; figures are their medians.
        threads: of each contestant.

    Returns:
        `ratios`: median time of the plain forward pass over `hierarchical`; `milliseconds`: p50 and p99 over users.
    """
    faiss.omp_set_num_threads(threads)
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    model = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash)
    hierarchical = Recommender.load(artifacts / "models" / "hierarchical")
    rag = Recommender.load(artifacts / "models" / "rag")
    ways: dict[str, Answer] = {
        HIERARCHICAL: _recommend(hierarchical),
        RAG: _recommend(rag),
        PLAIN: _plain(model, inputs, rag.item_ids),
    }
    histories = [
        [rag.item_ids[row] for row in history[-model.params.history :]] for history in _spread(inputs.sequences, users)
    ]
    for history in histories[:WARM]:
        for answer in ways.values():
            answer(history)
    runs = [_round(ways, histories) for _ in range(rounds)]
    milliseconds = {
        name: {
            f"{clock}_{name_of}": float(np.median([np.percentile(one[name][clock], q) for one in runs]))
            for clock in ("cpu", "wall")
            for name_of, q in (("p50", 50), ("p99", 99))
        }
        for name in ways
    }
    return {
        "clock": "cpu",
        "ratios": {f"{PLAIN} / {HIERARCHICAL}": milliseconds[PLAIN]["cpu_p50"] / milliseconds[HIERARCHICAL]["cpu_p50"]},
        "milliseconds": milliseconds,
        "settings": {
            "users": len(histories),
            "rounds": rounds,
            "top": TOP,
            "items": len(rag.item_ids),
            "prefixes": _prefixes(inputs.sequences),
            "longest_history": max(map(len, histories)),
            "mean_history": float(np.mean([len(history) for history in histories])),
        },
    }


def _spread(sequences: Sequences, count: int) -> list[NDArray[np.int64]]:
    """Return the histories of `count` users, spread over all lengths, in random order."""
    histories = np.split(sequences.items, sequences.offsets[1:-1])
    chosen = every_kth_by_length(histories, min(count, len(histories)))
    return [chosen[place] for place in np.random.default_rng(1).permutation(len(chosen))]


def _prefixes(sequences: Sequences) -> int:
    return int((sequences.train_length - 1).clip(min=0).sum())


def _recommend(recommender: Recommender) -> Answer:
    return lambda history: [item.item_id for item in recommender.recommend(list(history), TOP)]


def _plain(model: UserModel, inputs: Inputs, item_ids: list[str]) -> Answer:
    """Return the simplest hierarchical variant: transformers' forward pass, item keys computed for every query."""
    rows = {item_id: row for row, item_id in enumerate(item_ids)}

    @torch.inference_mode()
    def answer(history: list[str]) -> list[str]:
        histories = [np.array([rows[item_id] for item_id in history])]
        keys, biases = model.item_keys()  # [n, D], [n]
        states = model(torch.from_numpy(histories[0])[None])[:, -1]  # [1, D]
        excluded = excluded_items(histories, inputs.candidates, inputs.sequences.repeated)  # [1, n]
        scores = (states @ keys.T + biases).masked_fill(excluded, -torch.inf)  # [1, n]
        return [item_ids[row] for row in scores[0].topk(TOP).indices.tolist()]

    return answer


def _round(ways: Mapping[str, Answer], histories: list[list[str]]) -> dict[str, dict[str, list[float]]]:
    """Query every contestant once per user; return milliseconds by contestant and clock."""
    times: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "wall": []} for name in ways}
    for history in histories:
        for name, answer in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            answer(history)
            times[name]["cpu"].append(1000 * (time.process_time() - cpu))
            times[name]["wall"].append(1000 * (time.perf_counter() - wall))
    return times


@click.command()
@artifacts_option
@options
@click.option("--users", type=click.IntRange(1), default=500, help="Number of users per round.")
def main(artifacts: Path, rounds: int, threads: int, quick: bool, out: Path | None, users: int) -> None:
    """Measure the latency of one user's recommendations."""
    count = 20 if quick else users
    result = run(
        "latency",
        lambda folder: compare(folder, count, rounds, threads),
        artifacts,
        threads,
        "cpu",
        quick,
        out,
    )
    for name, ratio in result["ratios"].items():
        click.echo(f"{name}: {ratio:.1f}")
    for name, figures in result["milliseconds"].items():
        click.echo(f"{name}: " + ", ".join(f"{figure} {value:.2f} ms" for figure, value in figures.items()))


if __name__ == "__main__":
    main()
