"""`python -m bench.peers.decoding`: time the top 20 of every user, against beam search with a T5 of the same encoder.

Ours is timed on all users. Decoding is timed on a representative sample: every k-th user by history length. Both read
the latest `train.history` items. The measured time includes no loading, building or tokenising.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from hierrec import Recommender
from hierrec.core.sequences import Sequences
from hierrec.core.tables import load_items, load_users
from hierrec.model.checkpoint import load_model
from hierrec.model.inputs import load_inputs
from numpy.typing import NDArray

from bench.peers.beam_search import BeamSearch, Codes, Identifiers, Texts
from bench.peers.command import options, run
from bench.peers.measure import clock_of, in_turns, summary

TOP = 20
BATCH = 8
OURS = ("hierarchical", "rag")
"""Our contestants, by the name of their model folder."""


def compare(artifacts: Path, sample: int, rounds: int, device: str) -> dict[str, Any]:
    """Time our variants and both ways of decoding.

    Args:
        artifacts: folder of the data, the store and the models.
        sample: number of users for the decoders.
        rounds: rounds of timing; contestants alternate.
        device: of the decoders; ours run on the CPU.

    Returns:
        By variant and peer: `saved`, the saved share of the time per user, and `ratios`, the speed-up; `contestants`,
        seconds.
    """
    inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")
    train = load_model(artifacts / "models" / "hierarchical", inputs.frozen, inputs.store_hash).params
    titles = load_items(artifacts / "data" / "items.parquet")["title"].fill_null("").to_list()
    user_ids = load_users(artifacts / "data" / "users.parquet")["user_id"].to_list()
    histories = [history[-train.history :] for history in _all_items(inputs.sequences)]
    chosen = every_kth_by_length(histories, sample)
    peers: dict[str, Identifiers] = {"codes": Codes(len(titles)), "texts": Texts(titles)}
    ours = {
        variant: _recommend_all(Recommender.load(artifacts / "models" / variant), user_ids)
        for variant in OURS
        if (artifacts / "models" / variant).is_dir()
    }
    theirs = {name: _decode_all(BeamSearch(identifiers, TOP, device), chosen) for name, identifiers in peers.items()}
    costs = in_turns(ours | theirs, rounds, device)
    users = dict.fromkeys(ours, len(user_ids)) | dict.fromkeys(theirs, len(chosen))
    contestants = {name: _contestant(summary(costs[name]), users[name], len(user_ids)) for name in costs}
    clock = f"{clock_of(device)}_seconds_per_user"
    ratios = {
        variant: {peer: contestants[peer][clock] / contestants[variant][clock] for peer in theirs} for variant in ours
    }
    return {
        "clock": clock,
        "ratios": ratios,
        "saved": {variant: {peer: 1 - 1 / ratio for peer, ratio in row.items()} for variant, row in ratios.items()},
        "contestants": contestants,
        "settings": {
            "top": TOP,
            "beams": TOP,
            "history": train.history,
            "mean_history": float(np.mean([len(history) for history in histories])),
            "mean_history_of_sample": float(np.mean([len(history) for history in chosen])),
            "mean_prompt_tokens": {
                name: float(np.mean([len(identifiers.prompt(history.tolist())) for history in chosen]))
                for name, identifiers in peers.items()
            },
            "decoder_batch": BATCH,
        },
    }


def every_kth_by_length(histories: Sequence[NDArray[np.int64]], count: int) -> list[NDArray[np.int64]]:
    """Return `count` histories, shortest first, with the distribution of lengths of all."""
    order = np.argsort([len(history) for history in histories], kind="stable")
    middles = (np.arange(count) + 0.5) * len(order) / count
    return [histories[row] for row in order[middles.astype(int)]]


def _all_items(sequences: Sequences) -> list[NDArray[np.int64]]:
    """Return all items of every user, test items included, as a recommendation reads them."""
    return np.split(sequences.items, sequences.offsets[1:-1])


def _recommend_all(recommender: Recommender, user_ids: Sequence[str]) -> Callable[[], object]:
    return partial(recommender.recommend_many, [recommender.user(user) for user in user_ids], TOP)


def _decode_all(decoder: BeamSearch, histories: Sequence[NDArray[np.int64]]) -> Callable[[], object]:
    batches = [histories[start : start + BATCH] for start in range(0, len(histories), BATCH)]
    return lambda: [decoder.recommend([history.tolist() for history in batch]) for batch in batches]


def _contestant(cost: dict[str, Any], users: int, all_users: int) -> dict[str, Any]:
    per_user = {f"{clock}_seconds_per_user": cost[f"{clock}_seconds"] / users for clock in ("wall", "cpu")}
    for_all = {
        f"{clock}_seconds_for_all": per_user[f"{clock}_seconds_per_user"] * all_users for clock in ("wall", "cpu")
    }
    return {"users_timed": users, **per_user, **for_all, "runs": cost["runs"]}


@click.command()
@options
@click.option("--sample", type=click.IntRange(1), default=48, help="Number of users for the decoders.")
def main(artifacts: Path, rounds: int, threads: int, device: str, quick: bool, out: Path | None, sample: int) -> None:
    """Time the top 20 of all users, against autoregressive decoding."""
    users = 8 if quick else sample
    result = run(
        "decoding",
        lambda folder: compare(folder, users, rounds, device),
        artifacts,
        threads,
        device,
        quick,
        out,
    )
    for variant, row in result["ratios"].items():
        for peer, ratio in row.items():
            click.echo(f"{variant} is {ratio:.0f} times as fast as {peer}: {1 - 1 / ratio:.2%} less time")
    for name, contestant in result["contestants"].items():
        click.echo(f"  {name}: {1000 * contestant[result['clock']]:.2f} ms a user")


if __name__ == "__main__":
    main()
