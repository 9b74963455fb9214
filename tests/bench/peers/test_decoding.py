"""Decoding gives valid items, and the comparison runs as a whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.peers.beam_search import EOS, BeamSearch, Codes, Identifiers, Texts
from bench.peers.decoding import every_kth_by_length, main

ITEMS = 130


@pytest.fixture(scope="module", params=["codes", "texts"])
def identifiers(request: pytest.FixtureRequest) -> Identifiers:
    if request.param == "codes":
        return Codes(ITEMS)
    return Texts([f"Film number {item}" for item in range(ITEMS)])


def test_no_identifier_begins_another(identifiers: Identifiers) -> None:
    answers = set(identifiers.answers)
    assert len(answers) == ITEMS
    assert not any(answer[:end] in answers for answer in answers for end in range(len(answer)))
    assert max(max(answer) for answer in answers) < identifiers.vocabulary


def test_a_prompt_says_the_history_in_its_order(identifiers: Identifiers) -> None:
    first, second = identifiers.prompt([3]), identifiers.prompt([7])
    assert first != second
    assert identifiers.prompt([3, 7]) == [*first[:-1], *second]
    assert first[-1] == EOS


def test_every_answer_is_a_list_of_different_items(identifiers: Identifiers) -> None:
    decoder = BeamSearch(identifiers, beams=20, device="cpu")
    answers = decoder.recommend([[1, 2, 3], [5], list(range(40))])
    assert [len(set(items)) for items in answers] == [20, 20, 20]
    assert all(0 <= item < ITEMS for items in answers for item in items)


def test_an_answer_depends_on_the_history_and_not_on_who_shares_the_batch(identifiers: Identifiers) -> None:
    decoder = BeamSearch(identifiers, beams=20, device="cpu")
    (alone,) = decoder.recommend([[1, 2, 3]])
    together = decoder.recommend([[1, 2, 3], list(range(30))])
    assert together[0] == alone
    assert together[1] != alone


def test_the_sample_of_users_is_spread_over_all_lengths() -> None:
    histories = [np.arange(length) for length in np.random.default_rng(0).permutation(100)]
    assert [len(history) for history in every_kth_by_length(histories, 4)] == [12, 37, 62, 87]
    assert sorted(map(len, every_kth_by_length(histories, 100))) == list(range(100))


def test_the_command_compares_on_the_sample(tmp_path: Path) -> None:
    out = tmp_path / "decoding.json"
    done = CliRunner().invoke(main, ["--quick", "--rounds", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    result = json.loads(out.read_text())
    hierarchical = result["contestants"]["hierarchical"]["cpu_seconds_per_user"]
    for peer in ("codes", "texts"):
        theirs = result["contestants"][peer]["cpu_seconds_per_user"]
        assert result["ratios"]["hierarchical"][peer] == pytest.approx(theirs / hierarchical)
        assert result["saved"]["hierarchical"][peer] == pytest.approx(1 - hierarchical / theirs)
    assert result["machine"]["threads"] == 1
