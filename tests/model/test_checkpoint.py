"""A recommender comes back from disk as it was, or is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hierrec.core.errors import CheckpointError
from hierrec.core.files import read_json
from hierrec.model.checkpoint import CURVE, load_model, new_model, read_curve, save_model, write_curve
from hierrec.model.params import BackboneParams, TrainParams
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from tests.model.world import LLAMA


@pytest.fixture
def saved(tmp_path: Path, train_params: TrainParams, frozen: NDArray) -> Path:
    model = new_model(train_params, frozen)
    with torch.no_grad():
        model.members[0].items.residual.normal_(generator=torch.Generator().manual_seed(0))
    save_model(tmp_path / "model", model, "store")
    return tmp_path / "model"


def test_a_younger_key_is_written_where_it_is_not_its_default(
    saved: Path, train_params: TrainParams, frozen: NDArray
) -> None:
    assert not {"precision", "processes"} & set(read_json(saved / "config.json")["train"])
    params = train_params.model_copy(update={"precision": "bfloat16"})
    save_model(saved, new_model(params, frozen), "hash")
    assert read_json(saved / "config.json")["train"]["precision"] == "bfloat16"
    assert load_model(saved, frozen, "hash").params == params


def test_round_trip(saved: Path, train_params: TrainParams, frozen: NDArray) -> None:
    rows, generator = torch.tensor([[1, 2, 3]]), torch.get_rng_state()
    first = load_model(saved, frozen, "store")
    assert torch.equal(torch.get_rng_state(), generator)
    assert first.params == train_params
    save_model(saved.parent / "again", first, "store")
    second = load_model(saved.parent / "again", frozen, "store")
    assert torch.equal(first(rows), second(rows))
    for name in ("model.safetensors", "config.json"):
        assert (saved / name).read_bytes() == (saved.parent / "again" / name).read_bytes()


@pytest.mark.parametrize("kind", ["recency", "window"])
def test_round_trip_of_another_backbone(tmp_path: Path, train_params: TrainParams, frozen: NDArray, kind: str) -> None:
    backbone = BackboneParams(pretrained=None, revision=None, config={"model_type": "llama", **LLAMA})
    pooling = train_params.pooling.model_copy(update={"kind": kind})
    params = train_params.model_copy(update={"backbone": backbone, "pooling": pooling})
    model = new_model(params, frozen).eval()
    save_model(tmp_path / "model", model, "store")
    loaded = load_model(tmp_path / "model", frozen, "store")
    rows = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(rows), loaded(rows))


def test_round_trip_of_a_pretrained_decoder_without_its_path(
    tmp_path: Path, train_params: TrainParams, frozen: NDArray
) -> None:
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=11, **LLAMA)).save_pretrained(tmp_path / "decoder")  # type: ignore[arg-type]
    backbone = BackboneParams(pretrained=str(tmp_path / "decoder"), revision=None, config={})
    params = train_params.model_copy(update={"backbone": backbone})
    model = new_model(params, frozen).eval()
    save_model(tmp_path / "model", model, "store")
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()
    shutil.rmtree(tmp_path / "decoder")
    loaded = load_model(tmp_path / "model", frozen, "store")
    rows = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(rows), loaded(rows))


def test_the_frozen_vectors_stay_in_their_store(saved: Path, frozen: NDArray) -> None:
    assert not any("frozen" in name for name in load_model(saved, frozen, "store").state_dict())


def test_another_store_is_refused(saved: Path, frozen: NDArray) -> None:
    with pytest.raises(CheckpointError, match="trained on the item vectors"):
        load_model(saved, frozen, "other")


def test_another_shape_is_refused(saved: Path, frozen: NDArray) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(saved, frozen[:-1], "store")


def test_another_version_is_refused(saved: Path, frozen: NDArray) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "schema_version": 99}))
    with pytest.raises(CheckpointError, match="version 99"):
        load_model(saved, frozen, "store")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\x00garbage"])
def test_a_damaged_file_is_refused(saved: Path, frozen: NDArray, name: str, content: bytes | None) -> None:
    (saved / name).unlink()
    if content is not None:
        (saved / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="what to do"):
        load_model(saved, frozen, "store")


def test_weights_that_are_not_numbers_do_not_pass_evaluation(saved: Path, frozen: NDArray) -> None:
    from hierrec.core.errors import NumericalError
    from hierrec.model.scorer import Scorer
    from hierrec.ranking.evaluator import rank_targets

    model = load_model(saved, frozen, "store")
    with torch.no_grad():
        model.members[0].head.weight.fill_(torch.nan)
    scorer = Scorer(model, np.ones(len(frozen), np.bool_))
    with pytest.raises(NumericalError, match="NaN"):
        rank_targets(scorer, [np.array([1, 2])], np.array([3]), np.ones(len(frozen), np.bool_), 4)


def test_values_are_rounded_to_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_curve(path, [{"epoch": 2, "train_loss": 1.23456789, "ndcg@10": 0.1234564}])
    assert path.read_text() == "epoch,train_loss,ndcg@10\n2,1.234568,0.123456\n"


def test_a_curve_is_read_or_refused(tmp_path: Path) -> None:
    write_curve(tmp_path / CURVE, [{"epoch": 2, "ndcg@10": 0.5}, {"epoch": 4, "ndcg@10": 0.25}])
    assert read_curve(tmp_path)["ndcg@10"].to_list() == [0.5, 0.25]
    for content in (None, b"", b"epoch\n1,2,3\n"):
        (tmp_path / CURVE).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / CURVE).write_bytes(content)
        with pytest.raises(CheckpointError, match="learning curve"):
            read_curve(tmp_path)
