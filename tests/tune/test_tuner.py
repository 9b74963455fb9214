"""The item LLM is tuned on training items alone, the same way each time, and learns co-occurring items."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.errors import DataError, NumericalError
from hierrec.core.sequences import Sequences
from hierrec.encode.encoder import ItemEncoder
from hierrec.tune.params import TuneParams
from hierrec.tune.tuner import co_occurrence, contrastive_loss, tune

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import TEXTS, ModelFolder

PARAMS = TuneParams(seed=1, epochs=30, learning_rate=1e-2, temperature=0.1, window=2, batch_items=4)
GROUPS = [[0, 1, 2], [2, 1, 0], [3, 4, 5], [5, 4, 3], [1, 0, 2], [4, 3, 5]]

Tuned = Callable[..., tuple[ItemEncoder, float]]


def histories(training: list[list[int]], validation: int, test: int) -> Sequences:
    """Each user's training items, then one target of each kind."""
    items = [[*taken, validation, test] for taken in training]
    lengths = np.array([len(taken) for taken in training])
    first, second = (np.full(len(training), target) for target in (validation, test))
    offsets = np.concatenate([[0], np.cumsum(lengths + 2)])
    return Sequences(np.concatenate(items), offsets, lengths, lengths + 1, first, second)


@pytest.fixture
def tuned(model_folder: ModelFolder) -> Tuned:
    def tuned(sequences: Sequences, kind: str = "t5", **changed: float) -> tuple[ItemEncoder, float]:
        encoder = item_encoder(model_folder(kind), 32)
        return encoder, tune(encoder, TEXTS, sequences, PARAMS.model_copy(update=changed), 64)

    return tuned


def saved(encoder: ItemEncoder, folder: Path) -> dict[str, bytes]:
    encoder.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_neighbours_worked_by_hand() -> None:
    near = co_occurrence(histories([[0, 1, 2], [1, 0], [3], [2, 2]], 4, 5), 6, window=2).toarray()
    expected = np.zeros((6, 6))
    expected[0, 1] = expected[1, 0] = 2
    expected[1, 2] = expected[2, 1] = 1
    expected[0, 2] = expected[2, 0] = 0.5
    np.testing.assert_array_equal(near, expected)


def test_contrast_worked_by_hand_counts_only_items_that_have_neighbours() -> None:
    vectors = torch.tensor([[2.0, 0], [0, 3], [1, 0]])
    wanted = torch.tensor([[0.0, 1, 3], [0, 0, 0], [0, 0, 0]])
    chances = torch.tensor([0.0, 1 / 0.5]).log_softmax(0)
    expected = -(0.25 * chances[0] + 0.75 * chances[1])
    torch.testing.assert_close(contrastive_loss(vectors, wanted, 0.5), expected)
    assert contrastive_loss(vectors, torch.zeros(3, 3), 0.5) == 0


def test_a_hidden_progress_bar_changes_no_weight(tuned: Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = saved(tuned(histories(GROUPS, 0, 5), epochs=2)[0], tmp_path / "shown")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert saved(tuned(histories(GROUPS, 0, 5), epochs=2)[0], tmp_path / "hidden") == shown


def test_texts_of_items_that_are_taken_together_become_similar(tuned: Tuned) -> None:
    def apart(epochs: int) -> float:
        encoder, _ = tuned(histories(GROUPS, 0, 5), epochs=epochs)
        unit = torch.nn.functional.normalize(torch.from_numpy(encoder.encode(TEXTS, 64)), dim=1)
        cosines = unit @ unit.T
        return float(cosines[:3, :3].mean() - cosines[:3, 3:].mean())

    assert apart(30) > apart(0) + 0.3


@pytest.mark.parametrize("kind", ["t5", "bert"])
def test_nothing_of_validation_or_test_enters_and_a_second_run_gives_the_same_bytes(
    kind: str, tuned: Tuned, tmp_path: Path
) -> None:
    first, second, other = (
        saved(tuned(histories(GROUPS, *targets), kind, epochs=2, seed=seed)[0], tmp_path / name)
        for name, targets, seed in (("first", (0, 5), 1), ("second", (4, 1), 1), ("other", (0, 5), 2))
    )
    assert first == second
    assert first["model.safetensors"] != other["model.safetensors"]
    assert str(tmp_path) not in first["config.json"].decode()


@pytest.mark.parametrize("kind", ["t5", "t5-full", "bert", "bart"])
def test_a_saved_encoder_gives_its_vectors_and_has_another_cache(
    kind: str, tuned: Tuned, model_folder: ModelFolder, tmp_path: Path
) -> None:
    encoder, loss = tuned(histories(GROUPS, 0, 5), kind, epochs=1)
    assert loss > 0
    encoder.save(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "config.json").stat().st_mode
    loaded, before = (item_encoder(path, 32) for path in (tmp_path, model_folder(kind)))
    vectors = loaded.encode(TEXTS, 64)
    np.testing.assert_array_equal(vectors, encoder.encode(TEXTS, 64))
    assert np.abs(vectors - before.encode(TEXTS, 64)).max() > 1e-4
    assert loaded.cache_key(64) != before.cache_key(64)


def test_users_with_one_training_item_teach_nothing(tuned: Tuned) -> None:
    with pytest.raises(DataError, match="no user has two different training items"):
        tuned(histories([[0], [1, 1]], 2, 3))


def test_a_learning_rate_that_destroys_the_weights_is_named(tuned: Tuned) -> None:
    with pytest.raises(NumericalError, match=r"tune\.learning_rate"):
        tuned(histories(GROUPS, 0, 5), learning_rate=1e38)
