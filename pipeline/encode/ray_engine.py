"""Encoding on the workers of a Ray cluster: blocks of texts through an actor pool of Ray Data."""

import logging
import os
import secrets
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.errors import HierrecError, MachineError, ParamsError
from .encode_worker import EncodeWorker, WorkerSettings, unpack
from .encoder import ItemEncoder, check_texts, name_of

BLOCK = 2048
"""Texts that a worker encodes at a time: what is done again where one dies."""

OBJECTS = 512 * 2**20
"""Bytes of a local cluster's object store; what does not fit is spilled to the disk."""

CONNECT_SECONDS = 10.0
"""Until a cluster that does not answer is an error."""

RETRIES = 3
"""Of a block whose worker died."""

CLUSTER = "look at the cluster (`ray status`); RAY_ADDRESS says which, and without it a local one is started"


class RayEngine:
    """Encodes as ``ItemEncoder.batches`` does, on the workers of Ray.

    Ray cuts the texts otherwise, but a text's vector does not depend on what it is encoded with, so that the
    vectors are the same, to the last bit on machines of one kind with the same number of threads.

    Args:
        encoder: whose vectors are wanted.
        model: as it was loaded, which the workers do for themselves.
        workers: processes; None: as many as the cluster has processors for, or GPUs where the encoder computes on one.
    """

    def __init__(self, encoder: ItemEncoder, model: str, workers: int | None) -> None:
        self._encoder, self._model, self._workers = encoder, model, workers

    def batches(
        self, texts: Sequence[str], batch_tokens: int, names: Sequence[str] | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield places and vectors as ``ItemEncoder.batches``, in any order; raises what that raises, and:

        Raises:
            ParamsError: ray is not installed, or the cluster has no GPU that the encoder wants.
            MachineError: the cluster cannot be reached, or a block fails again and again.
        """
        if not texts:
            return
        check_texts(texts, 0, names)
        import torch

        settings = WorkerSettings(
            self._model,
            self._encoder.files.revision,
            self._encoder.max_length,
            self._encoder.device,
            self._encoder.fingerprint,
            batch_tokens,
            torch.get_num_threads(),
        )
        gpus = int(self._encoder.device == "cuda")
        with (
            _cluster(self._workers) as ray,
            tqdm(total=len(texts), desc="encode", unit="text", disable=None) as progress,
        ):
            there = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 0))
            if gpus and not there:  # Ray would wait for one
                raise ParamsError(
                    "the cluster of Ray has no GPU", "device", "set it to cpu, or let a machine with one join"
                )
            workers = self._workers or max(1, there)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Ray's next versions
                answers = ray.data.from_arrow(_blocks(texts, names)).map_batches(
                    EncodeWorker,
                    fn_constructor_args=(settings,),
                    batch_size=None,
                    batch_format="pyarrow",
                    compute=ray.data.ActorPoolStrategy(size=workers),
                    num_cpus=1,
                    num_gpus=gpus or None,
                    ray_remote_args_fn=_remote_arguments,
                )
            for answer in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in answer.to_pylist():
                    places, vectors = unpack(row)
                    yield places, vectors
                    progress.update(len(places))


def _remote_arguments() -> dict[str, int]:
    return {"max_task_retries": RETRIES}


def _blocks(texts: Sequence[str], names: Sequence[str] | None) -> list[pa.Table]:
    """Return the texts in blocks (place, text, name), long ones first, so that few lengths meet in a block."""
    order = np.argsort([-len(text) for text in texts], kind="stable")
    blocks = []
    for start in range(0, len(order), BLOCK):
        places = order[start : start + BLOCK]
        columns = {
            "place": pa.array(places, pa.int64()),
            "text": pa.array([texts[place] for place in places], pa.large_string()),
            "name": pa.array([name_of(place, names) for place in places], pa.large_string()),
        }
        blocks.append(pa.table(columns))
    return blocks


@contextmanager
def _cluster(workers: int | None) -> Iterator[Any]:
    """Yield ray, connected to the cluster of RAY_ADDRESS, or else to a local one that ends with the block.

    Raises:
        ParamsError: ray is not installed.
        MachineError: the cluster cannot be reached or started, or gives up in the block.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
    except ImportError as error:
        what = f"engine ray needs a package that is not there ({error.name})"
        raise ParamsError(what, "encode.engine", "pip install 'hierrec[ray]', or set it to local") from None
    owned = not ray.is_initialized()
    try:
        if owned:
            _connect(ray, workers)
        _quiet(ray)
        yield ray
    except HierrecError:
        raise
    except (RayError, ConnectionError, RuntimeError, OSError) as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise MachineError(f"Ray gives up: {first}", "encode.engine ray", CLUSTER) from error
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
    # Ray would write a token of its own to the user's home, which may not be there: one for this cluster alone.
    if not any(os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    ray.init(address="local", num_cpus=workers, include_dashboard=False, object_store_memory=OBJECTS, **quiet)


def _quiet(ray: Any) -> None:
    """No progress bars but ours, and nothing below an error from Ray Data."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
