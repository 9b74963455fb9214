"""Targets and histories of the evaluation, for a rule-based scorer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hierrec.core.errors import DataError, ParamsError
from hierrec.core.sequences import NO_TARGET, Sequences, split_users
from hierrec.evaluation.lists import LENGTH, TopLists, list_metrics
from hierrec.evaluation.protocol import evaluate
from hierrec.evaluation.ranks import SCHEMA
from hierrec.evaluation.summary import summarise
from hierrec.params import load_params
from numpy.typing import NDArray
from torch import Tensor

from tests.model.world import ITEMS, make_sequences

ALL = np.ones(ITEMS, np.bool_)
PARAMS = load_params(Path(__file__).parents[2] / "params.yaml").evaluate.model_copy(update={"batch_users": 5})
# Around the ring of items, one step at a time; the last user is too short for the split.
WALKS = make_sequences([(user * 3 + np.arange(5 + user % 4)) % ITEMS for user in range(12)] + [np.arange(2)])


class Successor:
    """Scores items by their distance ahead of the latest item on the ring; the next item is best."""

    def __init__(self) -> None:
        self.read: list[tuple[int, list[int]]] = []

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores [B, n]; record each user and history."""
        self.read += [(int(user), history.tolist()) for user, history in zip(users, histories, strict=True)]
        latest = torch.tensor([history[-1] for history in histories]).unsqueeze(1)  # [B, 1]
        return -((torch.arange(ITEMS) - latest - 1) % ITEMS).double()  # [B, n]


class Constant:
    """Scores given by user and item, whatever the history."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return scores [B, n]."""
        return self.scores[users]


def test_one_row_per_user_and_nulls_where_there_is_no_target() -> None:
    table = evaluate(Successor(), WALKS, ALL, PARAMS)
    assert table.schema == SCHEMA
    assert table["user"].to_list() == list(range(13))
    assert table.row(12)[1:] == (None,) * 7
    assert not table.head(12).drop("validation").null_count().sum_horizontal()[0]


def test_another_scorer_may_rank_the_validation_targets() -> None:
    scorer, validating = Successor(), Constant(torch.zeros(13, ITEMS, dtype=torch.float64))
    plain, table = (
        evaluate(scorer, WALKS, ALL, PARAMS),
        evaluate(scorer, WALKS, ALL, PARAMS, validating=validating),
    )
    assert table.drop("validation").equals(plain.drop("validation"))
    assert (table["validation"].drop_nulls() > plain["validation"].drop_nulls()).all()


def test_of_many_users_a_part_is_ranked_and_never_one_from_whom_a_fusion_learns() -> None:
    whole = evaluate(Successor(), WALKS, ALL, PARAMS)
    some = PARAMS.model_copy(update={"users": 5, "perturbed_users": 3})
    table = evaluate(Successor(), WALKS, ALL, some)
    assert table["test"].count() == 5
    drawn = table["test"].is_not_null()
    for name in ("test", "popularity", "target"):
        assert table.filter(drawn)[name].to_list() == whole.filter(drawn)[name].to_list()
        assert not table.filter(~drawn)[name].count()
    measured = table["validation"].is_not_null()
    assert set(measured.arg_true()) == set(split_users(np.arange(12))[1]) & set(drawn.arg_true())
    refused = []
    for seed in range(9):  # the one user that is drawn is in either half
        try:
            evaluate(Successor(), WALKS, ALL, PARAMS.model_copy(update={"users": 1, "seed": seed}))
        except ParamsError as error:
            refused.append(error.where)
    assert set(refused) == {"params.yaml, key evaluate.users"}
    assert table["dropped"].count() == 3
    assert summarise(table, ITEMS, some)["users"] == 5
    assert evaluate(Successor(), WALKS, ALL, PARAMS.model_copy(update={"users": 12})).equals(whole)
    other = evaluate(Successor(), WALKS, ALL, some.model_copy(update={"seed": 2}))
    assert other["test"].is_not_null().to_list() != drawn.to_list()


def test_validation_is_of_the_users_from_whom_no_fusion_learns() -> None:
    learned_from, held_out = split_users(np.arange(12))
    for scorer in (Successor(), Constant(torch.zeros(13, ITEMS))):
        ranked = evaluate(scorer, WALKS, ALL, PARAMS)["validation"].is_not_null()
        assert ranked.arg_true().to_list() == held_out.tolist()
    assert sorted([*learned_from, *held_out]) == list(range(12))
    other = evaluate(Successor(), WALKS, ALL, PARAMS.model_copy(update={"seed": PARAMS.seed + 1}))
    assert other["validation"].is_not_null().arg_true().to_list() == held_out.tolist()


def several(walks: list[NDArray[np.int64]], train: int, test: int) -> Sequences:
    """All items from `train` on are validation targets, all from `test` on test targets."""
    split = pl.DataFrame(
        [
            {
                "user": user,
                "train_length": min(train, len(walk)),
                "test_length": min(test, len(walk)),
                "length": len(walk),
                "validation": walk[train] if len(walk) > train else None,
                "test": walk[test] if len(walk) > test else None,
                "validation_positions": list(range(train, min(test, len(walk)))),
                "test_positions": list(range(test, len(walk))),
            }
            for user, walk in enumerate(walks)
        ],
        strict=False,
    )
    interactions = pl.DataFrame(
        {
            "user": np.repeat(np.arange(len(walks)), [len(walk) for walk in walks]),
            "item": np.concatenate(walks),
        }
    )
    return Sequences.from_tables([interactions], split)


def test_of_several_targets_each_is_ranked_after_the_items_before_it() -> None:
    walks = [(user * 3 + np.arange(4 + user)) % ITEMS for user in range(8)]
    sequences = several(walks, 4, 6)
    scorer = Successor()
    table = evaluate(scorer, sequences, ALL, PARAMS, perturb=False)
    assert table["test"].drop_nulls().to_list() == [1.0] * sum(max(0, len(walk) - 6) for walk in walks)
    held_out = split_users(np.arange(1, 8))[1] + 1  # user 0 has no target; a user's targets are in one half
    read = [
        (user, walk[:end].tolist())
        for user, walk in enumerate(walks)
        for end in range(4 if user in held_out else 6, len(walk))
    ]
    assert sorted(scorer.read) == sorted(read)
    ranked = table.drop_nulls("validation")
    assert set(ranked["user"]) == set(held_out.tolist())
    assert len(ranked) == sum(min(2, len(walks[user]) - 4) for user in held_out)
    assert [len(history) for history in sequences.training_histories()] == [4] * 8
    metrics = summarise(evaluate(Successor(), sequences, ALL, PARAMS), ITEMS, PARAMS)
    assert (metrics["users"], metrics["targets"], metrics["validation_users"]) == (5, 15, len(held_out))
    for name, validation, test in (("test", 4, 5), ("test", 4, 11), ("validation", 3, 6), ("validation", 6, 6)):
        positions = pl.DataFrame({"user": [7], "validation_positions": [[validation]], "test_positions": [[test]]})
        with pytest.raises(DataError, match=f"{name}_positions, user 7: is not after its cut"):
            sequences._with_all_targets(positions)


def test_at_test_time_the_validation_item_ends_the_history() -> None:
    table = evaluate(Successor(), WALKS, ALL, PARAMS).head(12)
    # Were the validation item missing from the history, every test target would rank second.
    assert table["test"].to_list() == [1.0] * 12
    assert table["validation"].drop_nulls().to_list() == [1.0] * 6


def test_the_validation_item_is_excluded_at_test_time_only() -> None:
    scores = torch.zeros(13, ITEMS)
    users = torch.arange(12)
    scores[users, torch.from_numpy(WALKS.validation[:12])] = 2
    scores[users, torch.from_numpy(WALKS.test[:12])] = 1
    table = evaluate(Constant(scores), WALKS, ALL, PARAMS).head(12)
    for column in ("test", "dropped", "replaced"):
        assert table[column].to_list() == [1.0] * 12
    assert table["validation"].drop_nulls().to_list() == [1.0] * 6


def test_a_dropped_item_does_not_become_a_recommendation() -> None:
    scores = torch.zeros(13, ITEMS)
    for user in range(13):
        scores[user, torch.from_numpy(WALKS.training_items(user))] = 2
        scores[user, WALKS.test[user]] = 1
    table = evaluate(Constant(scores), WALKS, ALL, PARAMS).head(12)
    assert table["dropped"].to_list() == table["replaced"].to_list() == [1.0] * 12


def test_both_variants_read_the_same_histories_and_never_a_target() -> None:
    first, second = Successor(), Successor()
    evaluate(first, WALKS, ALL, PARAMS)
    evaluate(second, WALKS, ALL, PARAMS.model_copy(update={"batch_users": 64}))
    assert sorted(first.read) == sorted(second.read)
    other = Successor()
    evaluate(other, WALKS, ALL, PARAMS.model_copy(update={"seed": PARAMS.seed + 1}))
    assert sorted(other.read) != sorted(first.read)
    assert len(first.read) == 6 + 3 * 12  # validation of the half from which no fusion learns
    for user, history in first.read:
        assert WALKS.test[user] not in history


def test_only_candidates_count() -> None:
    few = np.arange(ITEMS) % 2 == 0
    table = evaluate(Successor(), WALKS, few, PARAMS, validation_candidates=~few)
    assert (np.isfinite(table["test"].to_numpy()[:12]) == few[WALKS.test[:12]]).all()
    measured = table["validation"].is_not_null().to_numpy()
    assert (np.isfinite(table["validation"].to_numpy()[measured]) == ~few[WALKS.validation[measured]]).all()


def test_the_groups_of_history_are_thirds_by_length() -> None:
    users = [np.array([0, *range(2 + user, 4 + 2 * user), 20]) for user in range(6)]
    table = evaluate(Successor(), make_sequences(users), ALL, PARAMS)
    assert table["history"].to_list() == ["short", "short", "middle", "middle", "long", "long"]


def test_the_groups_of_popularity_are_those_of_the_targets() -> None:
    # In training 0 is met four times, 1 and 2 three times each, 3 and 4 once.
    users = [[0, 1, 2, 10, 20], [0, 1, 11, 2], [0, 2, 3, 10, 1], [1, 2, 10, 0], [0, 4, 11, 3]]
    table = evaluate(Successor(), make_sequences([np.array(user) for user in users]), ALL, PARAMS)
    assert table["popularity"].to_list() == ["tail", "middle", "middle", "head", "tail"]


def test_the_share_that_is_perturbed_is_the_params() -> None:
    whole = evaluate(Successor(), WALKS, ALL, PARAMS.model_copy(update={"perturbed_share": 0.0}))
    assert whole["dropped"].to_list() == whole["replaced"].to_list() == whole["test"].to_list()


def test_a_sample_of_the_users_is_ranked_after_perturbed_histories() -> None:
    whole = evaluate(Successor(), WALKS, ALL, PARAMS)
    few = evaluate(Successor(), WALKS, ALL, PARAMS.model_copy(update={"perturbed_users": 5}))
    ranked = few["dropped"].is_not_null()
    assert ranked.sum() == 5
    assert ranked.equals(few["replaced"].is_not_null())
    assert few.filter(ranked).equals(whole.filter(ranked))
    assert few.drop("dropped", "replaced").equals(whole.drop("dropped", "replaced"))
    other = evaluate(Successor(), WALKS, ALL, PARAMS.model_copy(update={"perturbed_users": 5, "seed": 2}))
    assert not other["dropped"].is_not_null().equals(ranked)


def test_without_perturbed_histories_the_other_ranks_are_the_same() -> None:
    whole = evaluate(Successor(), WALKS, ALL, PARAMS)
    some = evaluate(Successor(), WALKS, ALL, PARAMS, perturb=False)
    assert some.drop("dropped", "replaced").equals(whole.drop("dropped", "replaced"))
    assert some["dropped"].null_count() == some["replaced"].null_count() == len(some)


def test_a_planted_leak_is_a_typed_error() -> None:
    class Leaking(Sequences):
        """Puts the test target into the history."""

        def test_histories(self) -> list[NDArray[np.int64]]:
            return [np.append(history, max(0, t)) for history, t in zip(super().test_histories(), self.test)]  # noqa: B905

    leaking = Leaking(**{name: getattr(WALKS, name) for name in WALKS.__dataclass_fields__})
    with pytest.raises(DataError, match=r"history 0.*holds the target, item 4"):
        evaluate(Successor(), leaking, ALL, PARAMS)


def test_no_target_at_all_is_a_typed_error() -> None:
    nobody = replace(WALKS, validation=np.full(13, NO_TARGET), test=np.full(13, NO_TARGET))
    with pytest.raises(DataError, match="nothing to evaluate"):
        evaluate(Successor(), nobody, ALL, PARAMS)


def test_the_lists_are_those_of_the_test_histories() -> None:
    lists = TopLists(Successor(), ALL)
    table = evaluate(Successor(), WALKS, ALL, PARAMS, lists=lists)
    histories = [history for history, test in zip(WALKS.test_histories(), WALKS.test, strict=True) if test >= 0]
    expected = [
        [item for step in range(ITEMS) if (item := (history[-1] + 1 + step) % ITEMS) not in history][:LENGTH]
        for history in histories
    ]
    assert sorted(lists.items.tolist()) == sorted(expected)
    metrics = list_metrics(lists.items, WALKS, table, ALL)
    assert metrics["mrr"] == 1
    assert metrics["coverage@10"] == len(set().union(*expected)) / ITEMS
