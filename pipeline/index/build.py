"""Build an index in parts. Memory holds a sample, a batch, and the index itself unless it is on disk."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from faiss.contrib.exhaustive_search import knn_ground_truth
from faiss.contrib.ondisk import merge_ondisk
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..core.errors import ParamsError
from ..core.files import atomic_directory
from ..search.index import ItemIndex
from ..search.index_files import LISTS, VECTORS, Kind, Setting, write_index
from ..search.vectors import matrix_products, unit_batches, unit_vectors
from ..store.vectors import Vectors

SEED = 1  # seed of the training sample, of k-means, and of the items on which recall is measured
IN_MEMORY_UP_TO = 5_000_000  # items up to which `auto` keeps an approximate index and its vectors in memory
LINKS = 32  # neighbours of a node in an HNSW graph
SAMPLE_PER_LIST = 64
LEAST_SAMPLE = 16_384  # size of the training sample: vectors per inverted list, and least number of vectors
SHARD = 1_000_000  # vectors whose inverted lists are in memory at a time while an `ivf_pq` index is built
NEIGHBOURS = 20
QUERIES = 512  # Recall is measured on this many neighbours of each of this many items
ROUNDING = 1e-6  # largest difference between two sums of one similarity in different orders


def choose_kind(kind: Literal["auto"] | Kind, count: int, exact_up_to: int) -> Kind:
    """Return the kind for `count` items if `kind` is `auto`. `hnsw` is never chosen: it takes much longer to build."""
    if kind != "auto":
        return kind
    if count <= exact_up_to:
        return "flat"
    return "ivf" if count <= IN_MEMORY_UP_TO else "ivf_pq"


def build_index(
    vectors: Vectors, folder: Path, store_hash: str, kind: Kind = "flat", recall: float = 0.95
) -> ItemIndex:
    """Build an index, measure its recall, and write it, replacing `folder`.

    An approximate index gets the least effort that reaches the recall, or the largest effort if none does. The
    manifest records the recall that it reaches. Equal vectors give equal bytes with any number of threads.

    The vectors, float32 [n, d], are of the store with this hash, and are read in batches; `recall` is the share of the
    true 20 nearest items to find. Raises ``NumericalError`` if a vector is not finite, and ``ParamsError`` if there are
    too few vectors for this kind.
    """
    setting = Setting(kind, factory(kind, *vectors.shape))
    with atomic_directory(folder) as temporary, matrix_products(vectors.shape[1]):
        if kind == "flat":
            item_index = ItemIndex.build(vectors)
        else:
            index, stored = _trained(setting.factory, vectors), None
            if kind == "ivf_pq":
                stored = _fill_on_disk(index, vectors, temporary)
            else:
                # Several threads would build another graph in every run.
                with threadpool_limits(limits=1 if kind == "hnsw" else None):
                    for batch in unit_batches(vectors):
                        index.add(batch)
            item_index = ItemIndex(index, setting, stored)
            item_index.setting = _tuned(item_index, vectors, recall)
        write_index(temporary, item_index.index, item_index.setting, store_hash)
    return item_index


def factory(kind: Kind, count: int, width: int) -> str:
    """Return the FAISS factory string for `count` vectors of a width.

    There are about sqrt(count) inverted lists. A PQ code has one byte per two dimensions (odd width: per dimension).
    """
    quantised = f"PQ{width if width % 2 else width // 2}"
    lists = f"IVF{_lists(count)}"
    return {"flat": "Flat", "hnsw": f"HNSW{LINKS}", "ivf": f"{lists},Flat", "ivf_pq": f"{lists},{quantised}"}[kind]


def efforts(kind: Kind, count: int) -> list[int]:
    """Return the efforts to try, each twice the one before. With inverted lists, the last effort is all lists."""
    return [2**power for power in (range(5, 13) if kind == "hnsw" else range(_lists(count).bit_length()))]


def _lists(count: int) -> int:
    return 2 ** round(np.log2(max(1, count)) / 2)


def _trained(name: str, vectors: Vectors) -> Any:
    """Return an empty index, trained on a sample."""
    count, width = vectors.shape
    index: Any = faiss.index_factory(width, name, faiss.METRIC_INNER_PRODUCT)
    if index.is_trained:
        return index
    index.cp.seed = SEED
    if hasattr(index, "pq"):
        index.pq.cp.seed = SEED
        index.do_polysemous_training = False  # it takes minutes, and only polysemous search uses it
    wanted = min(count, max(SAMPLE_PER_LIST * index.nlist, LEAST_SAMPLE))
    sample = np.sort(np.random.default_rng(SEED).choice(count, wanted, replace=False))
    try:
        index.train(unit_vectors(vectors[sample]))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        what = f"FAISS cannot index {count} vectors of width {width} with {name}: {reason}"
        raise ParamsError(what, "index.kind", "use flat for so few") from None
    return index


def _fill_on_disk(index: Any, vectors: Vectors, folder: Path) -> NDArray[np.float32]:
    """Write inverted lists, shard by shard, and vectors into the folder; return the memory-mapped vectors [n, d]."""
    stored = np.lib.format.open_memmap(folder / VECTORS, "w+", np.float32, vectors.shape)
    shards, start = list[Path](), 0
    shard: Any = faiss.clone_index(index)
    for batch in unit_batches(vectors):
        rows = np.arange(start, start := start + len(batch))
        stored[rows] = batch
        shard.add_with_ids(batch, rows)
        if shard.ntotal >= SHARD or start == vectors.shape[0]:
            shards.append(folder / f"shard{len(shards)}.faiss")
            faiss.write_index(shard, str(shards[-1]))
            shard.reset()
    stored.flush()
    merge_ondisk(index, [str(path) for path in shards], str(folder / LISTS))
    for path in shards:
        path.unlink()
    # The index records the path of its lists. It must not name the temporary folder.
    lists: Any = faiss.downcast_InvertedLists(index.invlists)
    lists.filename = LISTS
    return stored


def _tuned(index: ItemIndex, vectors: Vectors, recall: float) -> Setting:
    """Set the least effort that reaches the recall, or the largest; return the setting with the recall reached."""
    count = len(index)
    rows = np.sort(np.random.default_rng([SEED, 1]).choice(count, min(QUERIES, count), replace=False))
    queries = unit_vectors(vectors[rows])  # [q, d]
    nearest = min(NEIGHBOURS, count - 1)
    true, _ = knn_ground_truth(queries, unit_batches(vectors), nearest + 1, faiss.METRIC_INNER_PRODUCT)
    setting = index.setting
    name = "efSearch" if setting.kind == "hnsw" else "nprobe"
    for effort in efforts(setting.kind, count):
        faiss.ParameterSpace().set_index_parameter(index.index, name, effort)
        similarities, found = index.search(queries, nearest + 1)  # [q, nearest + 1] each
        # As similar as the last true neighbour: it makes no difference which of several equal items is found.
        near = (similarities >= true[:, -1:] - ROUNDING) & (found != rows[:, None])
        reached = float(np.minimum(near.sum(1), nearest).mean() / nearest) if nearest else 1.0
        setting = replace(setting, effort=effort, recall_at_20=round(reached, 4), queries=len(rows))
        if reached >= recall:
            break
    return setting
