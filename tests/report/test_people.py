"""The users in the report: the choice of users, and figures that match the models."""

import numpy as np
import pytest
from hierrec.report.people import RECENT, RECOMMENDED

from tests.report.world import World


def test_users_are_spread_over_the_lengths_and_have_a_target(world: World) -> None:
    shown = world.people()
    lengths = [person.length for person in shown]
    assert len(shown) == 4
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_the_history_ends_before_what_came_next(world: World) -> None:
    for person in world.people():
        user = world.user_ids.index(person.user_id)
        start, end = world.sequences.offsets[user : user + 2]
        titles = [world.catalogue[row].title for row in world.sequences.items[start:end]]
        assert person.target == titles[-1]
        assert person.history == titles[-2::-1][:RECENT]
        assert person.length == len(titles) - 1


def test_recommendations_are_ranked_by_score_and_hold_nothing_of_the_history(world: World) -> None:
    for person in world.people():
        user = world.user_ids.index(person.user_id)
        history, target = world.sequences.test_histories()[user], world.sequences.test[user]
        for variant, scorer in world.scorers.items():
            scores = scorer.score([history], np.array([user])).scores[0].numpy()
            names = [pick.name for pick in person.picks[variant]]
            best = np.argsort(-scores, kind="stable")[: min(RECOMMENDED, np.isfinite(scores).sum())]
            assert names == [world.catalogue[row].title for row in best]
            assert not set(names) & {world.catalogue[row].title for row in history}
            rank = person.ranks[variant]
            assert rank == (scores > scores[target]).sum() + 1
            hits = [place for place, pick in enumerate(person.picks[variant], 1) if pick.hit]
            assert hits == ([rank] if rank is not None and rank <= RECOMMENDED else [])


def test_rag_says_where_the_probability_comes_from(world: World) -> None:
    reasons = []
    for person in world.people():
        assert sum(person.trust.values()) == pytest.approx(1)
        assert not any(pick.why or pick.reasons for pick in person.picks["hierarchical"])
        for pick in person.picks["rag"]:
            assert pick.why is not None
            assert sum(pick.why.parts.values()) == pytest.approx(1)
            assert bool(pick.reasons) == (1 - pick.why.parts["model"] > 1e-12)
            reasons.append(pick.reasons)
    assert any("similar user" in reason for reason in reasons)
    assert any("like " in reason for reason in reasons)
