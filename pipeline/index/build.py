"""Building an index a part at a time: memory holds a sample, a batch, and what the kind of index must hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss.contrib.exhaustive_search import knn_ground_truth
from faiss.contrib.ondisk import merge_ondisk
from numpy.typing import NDArray

from ..core.errors import ParamsError
from ..core.files import atomic_directory
from ..search.cosine import unit_vectors
from ..search.fast_faiss import matrix_products
from ..search.index import ItemIndex
from ..search.index_files import LISTS, VECTORS
from ..search.index_kinds import Kind, Setting, effort_name, efforts, factory
from ..search.vectors import unit_batches
from ..store.vectors import Vectors

SEED = 1
"""Of the training sample, of k-means, and of the items on which recall is measured."""

SAMPLE_PER_LIST = 64
LEAST_SAMPLE = 16_384
"""Vectors an index is trained on."""

SHARD = 1_000_000
"""Vectors whose inverted lists are in memory at a time while an `ivf_pq` index is built."""

NEIGHBOURS = 20
QUERIES = 512
"""Neighbours, and items, on which recall is measured."""

ROUNDING = 1e-6
"""By which one similarity may differ between two ways of summing."""


def build_index(
    vectors: Vectors, folder: Path, store_hash: str, kind: Kind = "flat", recall: float = 0.95
) -> ItemIndex:
    """Index vectors, measure how well the index finds, and write it, replacing `folder`.

    An approximate index searches as little as reaches the recall that is asked for, and all it can where that falls
    short; the manifest says what was reached. Equal vectors give equal bytes, whatever the number of threads.

    Args:
        vectors: float32 [n, d], finite; read in batches.
        folder: where to.
        store_hash: of the store that they come from.
        kind: see `choose_kind`.
        recall: share of the true 20 nearest items that are to be found.

    Returns:
        The index, ready to be searched.

    Raises:
        NumericalError: a vector is not finite.
        ParamsError: so few vectors cannot be indexed in this way.
    """
    with atomic_directory(folder) as temporary, matrix_products(vectors.shape[1]):
        if kind == "flat":
            item_index = ItemIndex.build(vectors)
        else:
            name = factory(kind, *vectors.shape)
            index = _trained(name, vectors)
            stored = None
            match kind:
                case "ivf_pq":
                    stored = _fill_on_disk(index, vectors, temporary)
                case "ivf":
                    _fill_lists(index, vectors)
                case "hnsw":
                    _fill_graph(index, vectors)
            item_index = ItemIndex(index, Setting(kind, name), stored)
            item_index.setting = _tuned(item_index, vectors, recall)
        item_index.write_into(temporary, store_hash)
    return item_index


def _trained(name: str, vectors: Vectors) -> Any:
    """Return an empty index, trained on a sample."""
    count, width = vectors.shape
    index: Any = faiss.index_factory(width, name, faiss.METRIC_INNER_PRODUCT)
    if index.is_trained:
        return index
    index.cp.seed = SEED
    if hasattr(index, "pq"):
        index.pq.cp.seed = SEED
        index.do_polysemous_training = False  # minutes of annealing for a way of searching that is not used
    wanted = min(count, max(SAMPLE_PER_LIST * index.nlist, LEAST_SAMPLE))
    sample = np.sort(np.random.default_rng(SEED).choice(count, wanted, replace=False))
    try:
        index.train(unit_vectors(vectors[sample]))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ParamsError(
            f"FAISS cannot index {count} vectors of width {width} with {name}: {reason}",
            "index.kind",
            "use flat for so few",
        ) from None
    return index


def _fill_lists(index: Any, vectors: Vectors) -> None:
    for batch in unit_batches(vectors):
        index.add(batch)


def _fill_graph(index: faiss.Index, vectors: Vectors) -> None:
    threads = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(1)  # a graph built by several threads differs from run to run
        for batch in unit_batches(vectors):
            index.add(batch)  # pyright: ignore[reportCallIssue]
    finally:
        faiss.omp_set_num_threads(threads)


def _fill_on_disk(index: Any, vectors: Vectors, folder: Path) -> NDArray[np.float32]:
    """Write inverted lists and vectors into the folder, shard by shard; return the vectors, memory-mapped."""
    stored = np.lib.format.open_memmap(folder / VECTORS, "w+", np.float32, vectors.shape)
    shards: list[Path] = []
    shard: Any = faiss.clone_index(index)
    start = 0
    for batch in unit_batches(vectors):
        rows = np.arange(start, start + len(batch))
        stored[rows[0] : rows[-1] + 1] = batch
        shard.add_with_ids(batch, rows)
        start += len(batch)
        if shard.ntotal >= SHARD or start == vectors.shape[0]:
            shards.append(folder / f"shard{len(shards)}.faiss")
            faiss.write_index(shard, str(shards[-1]))
            shard.reset()
    stored.flush()
    merge_ondisk(index, [str(path) for path in shards], str(folder / LISTS))
    for path in shards:
        path.unlink()
    # The index names its lists, and must not name a folder that is about to be renamed.
    lists: Any = faiss.downcast_InvertedLists(index.invlists)
    lists.filename = LISTS
    return stored


def _tuned(index: ItemIndex, vectors: Vectors, recall: float) -> Setting:
    """Set the least effort that reaches a recall, or the greatest; return the setting with what was reached."""
    count = len(index)
    rows = np.sort(np.random.default_rng([SEED, 1]).choice(count, min(QUERIES, count), replace=False))
    queries = unit_vectors(vectors[rows])  # [q, d]
    nearest = min(NEIGHBOURS, count - 1)
    true, _ = knn_ground_truth(queries, unit_batches(vectors), nearest + 1, faiss.METRIC_INNER_PRODUCT)
    setting = index.setting
    for effort in efforts(setting.kind, count):
        faiss.ParameterSpace().set_index_parameter(index.index, effort_name(setting.kind), effort)
        reached = _recall(index, queries, rows, true[:, -1:], nearest)
        setting = replace(setting, effort=effort, recall_at_20=round(reached, 4), queries=len(rows))
        if reached >= recall:
            break
    return setting


def _recall(
    index: ItemIndex,
    queries: NDArray[np.float32],
    own: NDArray[np.int64],
    least: NDArray[np.float32],
    nearest: int,
) -> float:
    """Return the share of items found that are as near as the true nearest; the query's own row does not count.

    By similarity, not by row: which of several equal items is found makes no difference.
    """
    similarities, rows = index.search(queries, nearest + 1)  # [q, nearest + 1] each
    near = (similarities >= least - ROUNDING) & (rows != own[:, None])
    return float(np.minimum(near.sum(1), nearest).mean() / nearest) if nearest else 1.0
