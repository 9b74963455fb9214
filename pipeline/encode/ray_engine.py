"""Encoding on the workers of a Ray cluster: blocks of texts through an actor pool of Ray Data."""

import json
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..core import errors
from ..core.errors import HierrecError, MachineError, ModelError, ParamsError
from ..core.progress import track
from .encoder import Encoded, ItemEncoder
from .params import EncodeParams

BLOCK = 2048  # texts that a worker encodes at a time; if it dies, they are encoded again
RETRIES = 3  # retries of a block whose worker died
OBJECTS = 512 * 2**20  # bytes of a local cluster's object store; the rest is spilled to the disk
CONNECT_SECONDS = 10.0  # time after which a cluster that does not answer is an error
CLUSTER = "check the cluster with `ray status`; RAY_ADDRESS names it, and without RAY_ADDRESS a local one is started"


class RayEncoder(ItemEncoder):
    """An encoder whose batches are computed by the workers of Ray.

    On machines of one kind with the same number of threads, the vectors are equal to the last bit: a text's vector does
    not depend on the other texts of its block. Each worker loads the model by its name. By default there is a worker
    for each processor of the cluster, or for each GPU if the encoder uses one.
    """

    def batches(self, texts: Sequence[str], batch_tokens: int) -> Encoded:
        """Yield batches in any order, as ``ItemEncoder.batches``; raise ``ParamsError`` without ray or a needed GPU."""
        if not texts:
            return
        import torch

        gpus, threads = int(self.params.device == "cuda"), torch.get_num_threads()
        with _cluster(self.params.workers) as ray, track(total=len(texts), desc="encode", unit="text") as progress:
            there = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 0))
            if gpus and not there:  # Ray would wait for one
                remedy = "set it to cpu, or add a machine with a GPU"
                raise ParamsError("the cluster of Ray has no GPU", "device", remedy)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecations within Ray
                answers = ray.data.from_arrow(_blocks(texts)).map_batches(
                    EncodeWorker,
                    fn_constructor_args=(self.params, self.fingerprint, batch_tokens, threads),
                    batch_size=None,
                    batch_format="numpy",
                    compute=ray.data.ActorPoolStrategy(size=self.params.workers or max(1, there)),
                    num_cpus=1,
                    num_gpus=gpus or None,
                    ray_remote_args_fn=lambda: {"max_task_retries": RETRIES},
                )
            for answer in answers.iter_batches(batch_size=None, batch_format="numpy"):
                places, vectors = unpack(answer)
                yield places, vectors
                progress.update(len(places))


Answer = dict[str, NDArray[Any]]  # places int64 [b] and vectors float32 [b, d] of a block; or an error as JSON [1]


@dataclass
class EncodeWorker:
    """An actor of Ray Data; it loads its encoder once."""

    params: EncodeParams
    fingerprint: str
    batch_tokens: int
    threads: int  # torch's number of threads

    def __call__(self, block: dict[str, NDArray[Any]]) -> Answer:
        """Encode a block of texts (columns place, text).

        A typed error is returned: if it was raised, Ray would try the block again and hide the error's type.
        """
        try:
            vectors = self._encoder.encode(block["text"].tolist(), self.batch_tokens)
        except HierrecError as error:
            return {"error": np.array([json.dumps([type(error).__name__, *error.args])])}
        return {"places": block["place"], "vectors": vectors}

    @cached_property
    def _encoder(self) -> ItemEncoder:
        import torch

        torch.set_num_threads(self.threads)
        encoder = ItemEncoder.of(self.params)
        if encoder.fingerprint != self.fingerprint:
            what = "a worker of Ray has another model under that name"
            raise ModelError(what, encoder.files.place, "install the same release and the same model there")
        return encoder


def unpack(answer: Answer) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the places and vectors of a worker's answer, or raise its error."""
    if "error" in answer:
        kind, *words = json.loads(answer["error"][0])
        raise getattr(errors, kind)(*words)
    return answer["places"], answer["vectors"]


def _blocks(texts: Sequence[str]) -> list[pa.Table]:
    """Return the texts in blocks (place, text), longest first, so that a block has few different lengths."""
    order = np.argsort([-len(text) for text in texts], kind="stable")
    schema = pa.schema({"place": pa.int64(), "text": pa.large_string()})
    parts = (order[start : start + BLOCK].tolist() for start in range(0, len(order), BLOCK))
    return [pa.table([part, [texts[place] for place in part]], schema) for part in parts]


@contextmanager
def _cluster(workers: int | None) -> Iterator[Any]:
    """Yield ray, connected to the cluster of RAY_ADDRESS, or to a local one that ends with the `with` block.

    Raises ``MachineError`` if the cluster cannot be reached or started, or fails within the `with` block.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
    except ImportError as error:
        what = f"engine ray needs the package {error.name}, which is not installed"
        raise ParamsError(what, "encode.engine", "pip install 'hierrec[ray]', or set it to local") from None
    owned = not ray.is_initialized()
    try:
        if owned:
            _connect(ray, workers)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield ray
    except HierrecError:
        raise
    except (RayError, ConnectionError, RuntimeError, OSError) as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise MachineError(f"Ray failed: {first}", "encode.engine ray", CLUSTER) from error
    finally:
        if owned:
            ray.shutdown()


def _connect(ray: Any, workers: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address := os.environ.get("RAY_ADDRESS"):
        host, _, port = address.rpartition("://")[2].rpartition(":")
        if port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        ray.init(**quiet)
        return
    # Ray would write a token to the user's home, which may not exist.
    if not any(os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    ray.init(address="local", num_cpus=workers, include_dashboard=False, object_store_memory=OBJECTS, **quiet)
