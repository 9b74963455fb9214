"""No leak, end to end: no later item and no test target changes anything before it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hierrec.core.errors import DataError
from hierrec.core.sequences import NO_TARGET, Sequences, split_users
from hierrec.core.tables import load_interactions, load_split, write_table
from hierrec.evaluation.protocol import evaluate
from hierrec.fusion.prefixes import prefix_states
from hierrec.model.checkpoint import new_model, save_model
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.model.sequence_model import SequenceModel
from hierrec.params import load_params
from hierrec.rag.datastore import Datastore, Lookup
from hierrec.training.resume import TrainingState
from hierrec.training.trainer import fit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model.world import ITEMS as ITEM_COUNT
from tests.model.world import PHI3, new_member, with_backbone
from tests.reliability.sample_stages import AFTER_INGEST, contents, run_stages

ROOT = Path(__file__).parents[2]
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def tiny() -> SequenceModel:
    """A model with random weights that ranks the items of the world."""
    params = load_params(ROOT / "params.yaml").train
    config = PHI3 | {"num_hidden_layers": 2}
    vectors = np.random.default_rng(0).standard_normal((ITEM_COUNT, 12)).astype(np.float32)
    return new_member(with_backbone(params, config).model_copy(update={"history": 10}), vectors).eval()


items = st.lists(st.integers(0, ITEM_COUNT - 1), min_size=2, max_size=10)


@quick
@given(history=items, future=items, data=st.data())
def test_no_future_item_changes_the_score_of_a_prefix(
    tiny: SequenceModel, history: list[int], future: list[int], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(history) - 1))
    changed = [*history[:cut], *future][: len(history)]
    rows = [torch.tensor([[*history]]), torch.tensor([[*changed, *[0] * (len(history) - len(changed))]])]
    with torch.inference_mode():
        keys, biases = tiny.item_keys()
        first, second = (tiny(row)[:, :cut] @ keys.T + biases for row in rows)  # [1, cut, n]
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def without_test_items(sequences: Sequences) -> Sequences:
    """Remove every user's test item from the data."""
    last = sequences.offsets[1:][sequences.test != NO_TARGET] - 1
    lengths = np.diff(sequences.offsets) - (sequences.test != NO_TARGET)
    return replace(
        sequences,
        items=np.delete(sequences.items, last),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        test=np.full_like(sequences.test, NO_TARGET),
    )


def test_without_the_test_items_model_and_datastore_have_the_same_bytes(
    train_params: TrainParams,
    frozen: NDArray[np.float32],
    sequences: Sequences,
    tmp_path: Path,
) -> None:
    def made(data: Sequences, folder: Path) -> dict[str, str]:
        model = new_model(train_params, frozen)
        fit(model, data, lambda _: {"ndcg@10": 0.5}, TrainingState(folder / "state", "key"))
        save_model(folder / "model", model, "hash")
        prefixes = prefix_states(model, data)
        lookup = Lookup(shortlist=8, overlap=0.3, neighbours=5, following=2, preceding=2)
        Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup).write(folder / "datastore")
        return {name: value for name, value in contents(folder).items() if not name.startswith("state")}

    removed = without_test_items(sequences)
    assert len(removed.items) < len(sequences.items)
    whole = made(sequences, tmp_path / "whole")
    assert len(whole) == 5
    assert made(removed, tmp_path / "removed") == whole


def rotated_test_items(artifacts: Path) -> None:
    """Swap test items between users who do not have them yet."""
    interactions = load_interactions(artifacts / "data" / "interactions.parquet")
    split = load_split(artifacts / "data" / "split.parquet")
    owned = {user: set(group["item"]) for (user,), group in interactions.group_by("user")}
    test = split["test"].to_list()
    for first, second in zip(range(0, len(test) - 1, 2), range(1, len(test), 2), strict=True):
        if None not in (test[first], test[second]) and not (
            test[second] in owned[first] or test[first] in owned[second]
        ):
            test[first], test[second] = test[second], test[first]
    new = pl.Series("test", test, pl.Int32)
    last = pl.col("position") == pl.col("position").max().over("user")
    moved = interactions.join(split.select("user", new), on="user", how="left", maintain_order="left")
    moved = moved.with_columns(
        pl.when(last & pl.col("test").is_not_null()).then("test").otherwise("item").alias("item")
    ).select(interactions.columns)
    write_table(moved, artifacts / "data" / "interactions.parquet")
    write_table(split.with_columns(new), artifacts / "data" / "split.parquet")
    assert (new != split["test"]).sum() > len(new) // 2


def test_other_test_items_change_no_artifact_but_their_ranks(tmp_path: Path, sample_run: Path) -> None:
    before = run_stages(sample_run, tmp_path / "before", ())
    rotated_test_items(before)
    after = contents(run_stages(before.parent, tmp_path / "after", AFTER_INGEST[:4]))
    expected = contents(sample_run / "artifacts")
    differing = {name for name in expected if after[name] != expected[name]}
    assert differing == {"data/interactions.parquet", "data/split.parquet"}
    assert {
        "models/hierarchical/model.safetensors",
        "models/rag/datastore/keys.npy",
        "index/index.faiss",
    } <= set(expected)


@pytest.mark.parametrize("kind", ["validation", "test"])
def test_a_target_that_is_added_to_the_history_stops_the_evaluation(
    tiny: SequenceModel,
    sequences: Sequences,
    kind: str,
) -> None:

    params = load_params(ROOT / "params.yaml").evaluate
    targets = sequences.validation if kind == "validation" else sequences.test
    having = np.flatnonzero(targets != NO_TARGET)
    user = int(having[split_users(having)[1]][-1])  # of the half whose validation targets are ranked
    leaked = sequences.items.copy()
    leaked[sequences.offsets[user]] = targets[user]
    everything = np.ones(ITEM_COUNT, np.bool_)
    scorer = Scorer(tiny, everything)
    evaluate(scorer, sequences, everything, params)
    with pytest.raises(DataError, match=rf"history {user}: the history holds the target"):
        evaluate(scorer, replace(sequences, items=leaked), everything, params)
