"""Several processes train the same as one. A kill costs at most an epoch; bfloat16 is close to float32."""

import math
from typing import Any

import numpy as np
import pytest
from hierrec.core.errors import ParamsError
from hierrec.training.batches import Batch
from hierrec.training.distributed import AGAIN, Processes, joined
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.module_output import module_output

LOSS = 1e-5
"""Tolerance of an epoch's mean loss: sums in another order. Without dropout, which differs by process."""
WEIGHT = 1e-5
"""Tolerance of 99% of the weights: where a gradient is only rounding, AdamW steps by its sign."""
HALF = 2e-3
"""Tolerance of a mean loss in bfloat16."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return module_output("tests.training.several", tmp_path_factory.mktemp("several"))


def far_weights(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the share of weights that differ by more than the tolerance."""
    return float(np.mean(np.abs(np.subtract(one["weights"], other["weights"])) > WEIGHT))


@pytest.mark.parametrize(
    ("one", "several"),
    [("1", "2"), ("1", "3"), ("1, two members", "2, two members"), ("1, sessions", "2, sessions")],
    ids="processes {}".format,
)
def test_several_processes_train_what_one_trains(
    results: dict[str, list[dict[str, Any]]], one: str, several: str
) -> None:
    alone = results[one][0]
    for process in results[several]:
        assert process["losses"] == pytest.approx(alone["losses"], abs=LOSS)
        assert far_weights(process, alone) < 0.01
    assert alone["losses"][-1] < 0.7 * alone["losses"][0]


@pytest.mark.parametrize("name", ["2", "3", "2, bfloat16", "3, dropout", "resumed"])
def test_all_end_with_the_same_weights_and_the_first_alone_validates(
    results: dict[str, list[dict[str, Any]]], name: str
) -> None:
    first, *others = results[name]
    assert {process["sha256"] for process in others} == {first["sha256"]}
    assert first["validations"] > 0
    assert not any(process["validations"] for process in others)


def test_a_validation_may_take_longer_than_torch_would_wait(results: dict[str, list[Any]]) -> None:
    assert results["slow validation"] == ["validated", "validated"]


def test_when_one_is_killed_the_others_say_what_to_do(results: dict[str, list[dict[str, Any]]]) -> None:
    *others, killed = results["killed"]
    assert killed is None
    for process in others:
        assert "another process of this training ended" in process["error"]
        assert AGAIN in process["error"]


def test_then_they_go_on_after_the_last_epoch_to_the_same_weights(
    results: dict[str, list[dict[str, Any]]],
) -> None:
    resumed, undisturbed = results["resumed"][0], results["3, dropout"][0]
    assert resumed["losses"] == undisturbed["losses"]
    assert resumed["sha256"] == undisturbed["sha256"]
    assert resumed["validations"] < undisturbed["validations"]


def test_with_nothing_left_to_do_none_is_left_behind(results: dict[str, list[dict[str, Any]]]) -> None:
    assert {process["sha256"] for process in results["finished"]} == {results["resumed"][0]["sha256"]}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_bfloat16_is_close_and_its_weights_are_float32(
    results: dict[str, list[dict[str, Any]]], processes: str
) -> None:
    half, full = results[f"{processes}, bfloat16"][0], results[processes][0]
    assert all(math.isfinite(loss) for loss in half["losses"])
    assert half["losses"] == pytest.approx(full["losses"], abs=HALF)
    assert half["losses"] != pytest.approx(full["losses"], abs=LOSS)
    assert half["dtype"] == "torch.float32"


def batch_of(lengths: list[int]) -> Batch:
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]  # [B, T]
    rows = np.arange(mask.size).reshape(mask.shape)  # [B, T]
    return Batch(rows, rows + 1, mask, session_starts=rows % 3 == 0)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 5))
def test_shares_are_the_batch_and_their_weighted_mean_is_its_mean(lengths: list[int], count: int) -> None:
    batch = batch_of(lengths)
    windows: list[NDArray[np.int64]] = []
    mean = 0.0
    for rank in range(count):
        part, weight = Processes(rank, count).share(batch)
        assert len(part.rows) > 0
        mean += weight * part.rows[part.mask].mean() / count
        if weight:
            windows += list(part.rows)
        assert part.session_starts is not None
        assert np.array_equal(part.session_starts, part.rows % 3 == 0)
    assert mean == pytest.approx(batch.rows[batch.mask].mean())
    assert sorted(window[0] for window in windows) == batch.rows[:, 0].tolist()


def test_one_process_reads_all_of_a_batch() -> None:
    batch = batch_of([3, 1, 2])
    part, weight = Processes().share(batch)
    assert np.array_equal(part.rows, batch.rows)
    assert weight == 1.0


def test_another_number_than_torchrun_has_started_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    for count in (1, 2):
        with pytest.raises(ParamsError, match=f"but train.processes is {count}") as caught, joined(count):
            pass
        assert "train.processes" in str(caught.value)


def test_several_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    with pytest.raises(ParamsError, match="one machine"), joined(2):
        pass
