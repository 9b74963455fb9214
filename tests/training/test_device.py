"""Training on a stand-in device, and on a GPU if there is one, equals training on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hierrec.core.errors import ParamsError
from hierrec.training.distributed import check_device

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import TEXTS
from tests.module_output import module_output
from tests.training.elsewhere import NAME
from tests.training.several import train

GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return module_output("tests.training.elsewhere", tmp_path_factory.mktemp("elsewhere"))


def assert_same_training(one: dict[str, Any], other: dict[str, Any], loss: float, weight: float) -> None:
    """Compare up to rounding: where a gradient is only rounding, AdamW steps by its sign."""
    assert one["losses"] == pytest.approx(other["losses"], abs=loss)
    assert np.quantile(np.abs(np.subtract(one["weights"], other["weights"])), 0.99) < weight


@pytest.mark.parametrize("loss", ["sampled_softmax", "softmax"])
def test_another_device_trains_what_the_cpu_trains(results: dict[str, Any], loss: str) -> None:
    assert_same_training(results[f"there, {loss}"], results[f"cpu, {loss}"], loss=1e-5, weight=1e-5)


def test_interrupted_there_it_goes_on_to_the_same_weights(results: dict[str, Any]) -> None:
    whole, parts = results["there, sampled_softmax"], results["there, in two parts"]
    assert parts["sha256"] == whole["sha256"]
    assert parts["losses"] == whole["losses"]
    assert parts["validations"] < whole["validations"]


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        ("embedding_dense_backward.default", NAME),
        ("_fused_adamw_.default", NAME),
        ("lerp_.Scalar", NAME),  # the running average
        ("multinomial.default", "cpu"),  # negatives, from the CPU's generator
    ],
)
def test_gradients_steps_and_average_are_computed_there(results: dict[str, Any], operation: str, place: str) -> None:
    assert results["places"][f"aten.{operation}"] == [place]


def test_another_device_encodes_what_the_cpu_encodes(results: dict[str, Any]) -> None:
    assert results["vectors there"] == results["vectors"]
    assert NAME in results["places"]["aten.embedding.default"]


@pytest.mark.skipif(not GPUS, reason="needs a GPU and a torch that can use it")
def test_a_gpu_encodes_what_the_cpu_encodes() -> None:
    there, here = (item_encoder("t5-nano", 32, device=device).encode(TEXTS, 64) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.skipif(not GPUS, reason="needs a GPU and a torch that can use it")
@pytest.mark.parametrize(("precision", "loss", "weight"), [("float32", 1e-3, 1e-2), ("bfloat16", 1e-2, 2e-2)])
def test_a_gpu_trains_what_the_cpu_trains(tmp_path: Path, precision: str, loss: float, weight: float) -> None:
    """Weights move by .06 to .13. On the CPU too, bfloat16 leaves a hundredth of them .014 elsewhere than float32."""
    alone = train(tmp_path / "cpu", {}, None, False)
    params = {"device": "cuda", "precision": precision}
    whole = train(tmp_path / "gpu", params, None, False)
    train(tmp_path / "parts", params | {"epochs": 2}, None, False)
    parts = train(tmp_path / "parts", params, None, False)
    assert_same_training(whole, alone, loss, weight)
    assert_same_training(parts, whole, loss, weight=1e-2)


def test_the_cpu_is_always_there() -> None:
    check_device("cpu", processes=64)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParamsError, match=r"key train\.device") as caught:
        check_device("cuda", processes=1)
    assert "set it to cpu" in str(caught.value)


def test_nothing_is_encoded_on_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParamsError, match=r"^device: ") as caught:
        item_encoder("t5-nano", 32, device="cuda").encode(["Heat"], 64)
    assert "set it to cpu" in str(caught.value)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda", processes=2)
    with pytest.raises(ParamsError, match=r"key train\.processes: 3 processes .* there are 2"):
        check_device("cuda", processes=3)
