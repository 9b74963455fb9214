"""The sequence model: causal, blind to padding, and a linear head that may be moved to the item side."""

from typing import Any

import numpy as np
import pytest
import torch
from hierrec.core.sequences import pad_histories
from hierrec.model.params import Kind, PoolingParams, TrainParams
from hierrec.model.phi3 import reads_one_position
from hierrec.model.scorer import Scorer
from hierrec.model.sequence_model import KEY_LENGTH, ItemTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers.models.phi3.modeling_phi3 import Phi3RMSNorm

from tests.model.world import GPT2, ITEMS, LLAMA, PHI3, new_member, with_backbone

histories = st.lists(st.lists(st.integers(0, 23), min_size=1, max_size=10), min_size=1, max_size=4)
quick = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@quick
@given(
    first=st.lists(st.integers(0, 23), min_size=3, max_size=8),
    changed=st.integers(0, 23),
    cut=st.integers(1, 7),
)
def test_a_later_item_changes_no_earlier_user(
    train_params: TrainParams, frozen: NDArray, first: list[int], changed: int, cut: int
) -> None:
    model = new_member(train_params, frozen).eval()
    second = [*first[:cut], *([changed] * len(first[cut:]))]
    with torch.no_grad():
        users = model(torch.tensor([first, second]))
    torch.testing.assert_close(users[0, :cut], users[1, :cut], atol=1e-5, rtol=1e-5)


@quick
@given(batch=histories, padding=st.integers(0, 23))
def test_padding_and_batch_mates_change_nothing(
    train_params: TrainParams, frozen: NDArray, batch: list[list[int]], padding: int
) -> None:
    model = new_member(train_params, frozen).eval()
    arrays = [np.array(history) for history in batch]
    rows, lengths = pad_histories(arrays, limit=10)
    rows[np.arange(rows.shape[1]) >= lengths[:, None]] = padding
    with torch.no_grad():
        together = model.states(torch.from_numpy(rows), torch.from_numpy(lengths))
        alone = [model(torch.from_numpy(history)[None])[0, -1] for history in arrays]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("attention", [{}, {"hidden_act": "relu", "rms_norm_eps": 0.1}])
def test_phi3_read_at_one_position_gives_what_its_own_forward_gives(
    train_params: TrainParams, frozen: NDArray, layers: int, attention: dict[str, Any]
) -> None:
    config = {**PHI3, "num_hidden_layers": layers, **attention}
    model = new_member(with_backbone(train_params, config), frozen).double().eval()
    assert reads_one_position(model.backbone)
    generator = torch.Generator().manual_seed(0)
    rows, lengths = torch.randint(ITEMS, (7, 9), generator=generator), torch.tensor([1, 2, 5, 8, 9, 9, 3])
    with torch.no_grad():
        whole = model(rows)[torch.arange(7), lengths - 1]  # [B, D]
        # Its own norms round to float32.
        torch.testing.assert_close(model.states(rows, lengths), whole, rtol=0, atol=2e-6)
        torch.testing.assert_close(model.states(rows, lengths, model.item_inputs()), whole, rtol=0, atol=2e-6)


def test_but_for_the_rounding_of_its_norms_nothing_differs(
    train_params: TrainParams, frozen: NDArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_full(norm: Phi3RMSNorm, states: torch.Tensor) -> torch.Tensor:
        variance = states.pow(2).mean(-1, keepdim=True)
        return norm.weight * states * torch.rsqrt(variance + norm.variance_epsilon)

    monkeypatch.setattr(Phi3RMSNorm, "forward", in_full)
    params = with_backbone(train_params, PHI3 | {"num_hidden_layers": 3})
    model = new_member(params, frozen).double().eval()
    rows, lengths = torch.arange(18).reshape(2, 9), torch.tensor([9, 4])
    with torch.no_grad():
        whole = model(rows)[torch.arange(2), lengths - 1]  # [B, D]
        torch.testing.assert_close(model.states(rows, lengths), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["mean", "window", "recency"])
def test_other_poolings_and_other_decoders_are_read_by_their_own_forward(
    train_params: TrainParams, frozen: NDArray, kind: Kind
) -> None:
    pooled = train_params.model_copy(update={"pooling": PoolingParams(kind=kind, window=3)})
    decoders = [
        {"model_type": "llama", **LLAMA},
        GPT2,
        PHI3 | {"sliding_window": 2},
        PHI3 | {"num_key_value_heads": 1},
        PHI3 | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
    ]
    rows, lengths = torch.arange(10).reshape(2, 5), torch.tensor([5, 2])
    for params in (pooled, *(with_backbone(train_params, config) for config in decoders)):
        model = new_member(params, frozen).eval()
        with torch.no_grad():
            whole = model(rows)[torch.arange(2), lengths - 1]  # [B, D]
            torch.testing.assert_close(model.states(rows, lengths), whole)


def test_scores_are_products_of_the_projected_user_with_the_item_table(
    train_params: TrainParams, frozen: NDArray
) -> None:
    model = new_member(train_params, frozen).eval()
    with torch.no_grad():
        model.items.residual.normal_(generator=torch.Generator().manual_seed(0))
        users = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
        keys, biases = model.item_keys()
        torch.testing.assert_close(users @ keys.T + biases, model.head(users) @ model.items.vectors().T)


def test_unit_keys_divide_each_score_by_the_length_of_the_items_key(train_params: TrainParams, frozen: NDArray) -> None:
    model = new_member(train_params.model_copy(update={"keys": "unit"}), frozen).eval()
    with torch.no_grad():
        model.items.residual.normal_(generator=torch.Generator().manual_seed(0))
        keys, biases = model.item_keys()
        vectors = model.items.vectors() @ model.head.weight  # [n, D]
        torch.testing.assert_close(keys.norm(dim=1), torch.full((len(keys),), KEY_LENGTH / 16**0.5))
        torch.testing.assert_close(keys / keys.norm(dim=1)[:, None], vectors / vectors.norm(dim=1)[:, None])
        torch.testing.assert_close(biases, model.items.vectors() @ model.head.bias)
        some = torch.tensor([4, 2])
        torch.testing.assert_close(model.item_keys(some)[0], keys[some])


def test_gradients_of_items_without_text_stay_small(train_params: TrainParams, frozen: NDArray) -> None:
    model = new_member(train_params.model_copy(update={"keys": "unit"}), np.zeros_like(frozen))
    with torch.no_grad():
        model.items.residual.fill_(1e-9)  # nearly nothing is known of the items
    users = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    keys, _ = model.item_keys()
    (users @ keys.T).logsumexp(1).sum().backward()
    gradient = model.items.residual.grad
    assert gradient is not None
    assert gradient.norm() < 1e4  # 1e9 without a minimum length


def test_frozen_vectors_are_scaled_to_unit_length() -> None:
    assert ItemTable(np.ones((2, 16), np.float32), 0).vectors().tolist() == [[0.25] * 16] * 2


def test_the_residual_starts_at_zero_and_can_be_switched_off(train_params: TrainParams, frozen: NDArray) -> None:
    assert not new_member(train_params, frozen).items.residual.any()
    model = new_member(train_params.model_copy(update={"residual_width": 0}), frozen)
    assert model.items.vectors().shape == frozen.shape
    rows = torch.tensor([[1, 2, 3]])
    model(rows).sum().backward()
    assert model.input.weight.grad is not None


def test_training_takes_a_share_of_the_items_without_their_residual(frozen: NDArray) -> None:
    items = ItemTable(frozen, 3, residual_dropout=0.3)
    with torch.no_grad():
        items.residual.normal_(generator=torch.Generator().manual_seed(0))
    whole = items.eval().vectors()
    items.train()
    torch.manual_seed(0)
    for rows in (None, torch.arange(ITEMS)):
        times = torch.zeros(ITEMS)
        for _ in range(400):
            vectors = items.vectors(rows)
            there = (vectors[:, 12:] != 0).all(1)
            assert torch.equal(vectors, torch.cat([items.frozen, items.residual * there[:, None]], 1))
            times += there
        assert (times / 400 - 0.7).abs().max() < 0.1
        items.residual.grad = None
        vectors = items.vectors(rows)
        vectors.sum().backward()
        gradient = items.residual.grad
        assert gradient is not None
        assert torch.equal(gradient, (vectors[:, 12:] != 0).float())
    assert torch.equal(items.eval().vectors(), whole)


def test_the_share_is_a_param(train_params: TrainParams, frozen: NDArray) -> None:
    left_out = []
    for share in (0.0, 0.5):
        params = train_params.model_copy(update={"residual_dropout": share})
        items = new_member(params, frozen).train().items
        with torch.no_grad():
            items.residual.fill_(1)
        torch.manual_seed(0)
        left_out.append(int((items.vectors()[:, 12:] == 0).all(1).sum()))
    assert left_out[0] == 0 < left_out[1] < ITEMS


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_training_drops_a_share_of_the_input(train_params: TrainParams, frozen: NDArray, dropout: float) -> None:
    params = with_backbone(train_params, PHI3 | {"resid_pdrop": 0.0})
    model = new_member(params.model_copy(update={"input_dropout": dropout}), frozen).train()
    rows = torch.arange(8)[None]
    assert torch.equal(model(rows), model(rows)) == (dropout == 0)


def test_without_a_residual_nothing_is_drawn(frozen: NDArray) -> None:
    before = torch.get_rng_state()
    ItemTable(frozen, 0, residual_dropout=0.3).train().vectors()
    assert torch.equal(torch.get_rng_state(), before)


def test_an_empty_history_ranks_by_the_bias(train_params: TrainParams, frozen: NDArray) -> None:
    scorer = Scorer(new_member(train_params, frozen), np.ones(len(frozen), np.bool_), dtype=torch.float32)
    with torch.no_grad():
        histories = [np.array([], np.int64), np.array([3])]
        scores = scorer.model_scores(scorer.states(histories), [histories[0]] * 2)  # nothing is masked
        torch.testing.assert_close(scores[0], scorer.model.item_keys()[1])
    assert not torch.allclose(scores[0], scores[1])


def test_ranking_in_float64_leaves_the_model_in_float32(train_params: TrainParams, frozen: NDArray) -> None:
    model = new_member(train_params, frozen)
    scores = Scorer(model, np.ones(len(frozen), np.bool_)).score_histories([np.array([1])], np.array([0]))
    assert scores.dtype == torch.float64
    assert {weight.dtype for weight in model.state_dict().values()} == {torch.float32}


def test_weights_come_from_the_seed_alone(train_params: TrainParams, frozen: NDArray) -> None:
    torch.manual_seed(1)
    first = new_member(train_params, frozen).state_dict()
    before = torch.random.get_rng_state()
    second = new_member(train_params, frozen).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    other = new_member(train_params.model_copy(update={"seed": 4}), frozen).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
