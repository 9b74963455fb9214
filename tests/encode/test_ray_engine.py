"""Encoding on a cluster of two workers gives the local engine's vectors, even if a worker is killed."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest
from hierrec.core import errors
from hierrec.core.errors import DataError, ModelError, NumericalError, OutOfMemoryError, ParamsError
from hierrec.core.params import Precision
from hierrec.encode import ray_engine
from hierrec.encode.encode_items import encode_items
from hierrec.encode.encoder import Encoded, ItemEncoder
from hierrec.encode.params import EncodeParams
from hierrec.encode.ray_engine import EncodeWorker, RayEncoder, unpack

from tests.encode.encoders import encode_params, item_encoder
from tests.encode.tiny_models import TEXTS, ModelFolder, save_model

pytest.importorskip("ray")
MANY = [f"Film {number}. {TEXTS[number % len(TEXTS)]}" for number in range(640)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A local cluster of two processors for this file: starting one costs seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("HOME", "")  # some machines lack it
        patch.setenv("RAY_worker_niceness", "0")  # Ray's default starves them on a busy machine
        with ray_engine._cluster(2):
            yield


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "BLOCK", 16)


def workers() -> list[psutil.Process]:
    """Return the encoding processes of this process's cluster."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            if "EncodeWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_a_killed_worker_changes_nothing(cluster: None, small_blocks: None) -> None:
    encoder = item_encoder("t5-nano", 32)
    texts = MANY * 5  # 200 blocks: most are not yet encoded when the first arrives
    expected = encoder.encode(texts, 200)
    vectors, victim, places = np.empty_like(expected), None, []
    engine = RayEncoder.of(encode_params("t5-nano", 32, workers=2))
    for batch, found in engine.batches(texts, 200):
        if victim is None:
            victim = workers()[0]
            victim.kill()
        vectors[batch] = found
        places += batch.tolist()
    assert victim is not None
    assert victim not in workers()
    assert sorted(places) == list(range(len(texts)))
    assert np.array_equal(vectors, expected)


def test_the_store_is_the_local_one_and_the_cache_is_asked(
    cluster: None,
    small_blocks: None,
    model_folder: ModelFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = pl.DataFrame({"item_id": [str(row) for row in range(200)], "name": MANY[:100] * 2})
    params = EncodeParams(
        model=str(model_folder("t5")),
        revision=None,
        template="{name}",
        max_length=16,
        batch_tokens=64,
        whitening_dimension=4,
        shard_rows=60,
    )
    summaries, stores = {}, {}
    for engine in ("local", "ray"):
        monkeypatch.setenv("HIERREC_CACHE", str(tmp_path / f"cache of {engine}"))
        changed = params.model_copy(update={"engine": engine, "workers": 2})
        summaries[engine] = encode_items(items, changed, tmp_path / engine)
        stores[engine] = {path.name: path.read_bytes() for path in (tmp_path / engine).iterdir()}
    assert "100 texts encoded" in summaries["ray"][0]
    assert summaries["ray"][:2] == summaries["local"][:2]
    assert len(stores["ray"]) == 4 * 2 + 4
    assert stores["ray"] == stores["local"]
    again = encode_items(items, params.model_copy(update={"engine": "ray"}), tmp_path / "again")
    assert "0 texts encoded" in again[0]


def test_errors_of_a_worker_arrive_as_they_are(cluster: None, model_folder: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_model("t5", folder)
    engine = RayEncoder.of(encode_params(folder, 32))
    _ = engine.fingerprint
    weights = folder / "model.safetensors"
    weights.write_bytes(model_folder("t5-full").joinpath("model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="a worker of Ray has another model"):
        list(engine.batches(["a", "b"], 64))


def test_a_cluster_without_gpus_is_not_waited_for(cluster: None) -> None:
    ray = pytest.importorskip("ray")
    if ray.cluster_resources().get("GPU"):
        pytest.skip("needs a machine without a GPU")
    engine = RayEncoder.of(encode_params("t5-nano", 32, device="cuda"))
    with pytest.raises(ParamsError, match="has no GPU"):
        list(engine.batches(["a"], 64))


class Fails(ItemEncoder):
    """An encoder that fails."""

    def __init__(self, error: errors.HierrecError) -> None:
        self.error = error

    def batches(self, texts: Sequence[str], batch_tokens: int) -> Encoded:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        DataError("not a text", "item b", "mend it"),
        NumericalError("not finite", "item b"),
        OutOfMemoryError("memory ran out", "model m", "lower it"),
    ],
)
def test_an_error_is_an_answer(error: errors.HierrecError) -> None:
    worker = EncodeWorker(encode_params("m", 8), "", 64, 1)
    worker._encoder = Fails(error)
    answer = worker({"place": np.array([0]), "text": np.array(["a"], object)})
    with pytest.raises(type(error)) as raised:
        unpack(answer)
    assert str(raised.value) == str(error)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_worker_encodes_a_block_into_its_places(model_folder: ModelFolder, precision: Precision) -> None:
    encoder = item_encoder(model_folder("t5"), 32, precision=precision)
    import torch

    worker = EncodeWorker(encoder.params, encoder.fingerprint, 200, torch.get_num_threads())
    block = {"place": np.array([7, 3]), "text": np.array(MANY[:2], object)}
    places, vectors = unpack(worker(block))
    assert places.tolist() == [7, 3]
    assert np.array_equal(vectors, encoder.encode(MANY[:2], 200))


def test_where_ray_is_missing_the_remedy_is_named(model_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    engine = RayEncoder.of(encode_params(model_folder("t5"), 32))
    with pytest.raises(ParamsError, match=r"pip install 'hierrec\[ray\]'"):
        list(engine.batches(["a"], 64))


@pytest.mark.usefixtures("shared_imports")
def test_a_cluster_that_is_not_there_is_a_typed_error() -> None:
    script = """
from hierrec.core.errors import MachineError
from hierrec.encode.ray_engine import _cluster
try:
    with _cluster(1):
        pass
except MachineError as error:
    assert "RAY_ADDRESS" in str(error)
    print("refused")
"""
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr


@pytest.mark.usefixtures("shared_imports")
def test_the_local_engine_imports_no_ray(model_folder: ModelFolder, tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
import polars as pl
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams
params = EncodeParams(model={str(model_folder("t5"))!r}, revision=None, template="{{name}}", max_length=16,
    batch_tokens=64, whitening_dimension=None)
encode_items(pl.DataFrame({{"item_id": ["a", "b"], "name": ["A", "B"]}}), params, Path({str(tmp_path / "s")!r}))
assert "ray" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
