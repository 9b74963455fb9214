"""The untrained model: the params that the data decides, and the initial residuals."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from ..core.sequences import Sequences
from ..model.checkpoint import new_model
from ..model.ensemble import UserModel
from ..model.params import TrainParams
from ..store.vectors import groups_of_equal

WINDOW = 10  # distance in a history up to which two items occur together
RARE = 5  # an item with n training interactions starts n / (n + RARE) as far from zero as a frequent one
CONTEXT = 0.75
"""Power of an item's count where it is the context of another item, so that rare items are not overrated."""


def untrained_model(params: TrainParams, frozen: NDArray[np.float32], sequences: Sequences) -> UserModel:
    """Build a model for this data: decide `auto` (`TrainParams.for_data`) and set the initial residuals.

    Only training items are read. With `residual_start: co_occurrence`, the residuals of trained items have length 1 in
    the mean, as the text vectors beside them do. With `zero`, a trained item whose text vector another item has too
    gets a random residual of this length: nothing else would distinguish the two. All other residuals are zero. Each
    member of an ensemble draws from its own seed. `frozen` are the whitened item vectors, float32 [n, F].
    """
    counts = sequences.training_counts(len(frozen))  # [n]
    params = params.for_data(counts)
    model = new_model(params, frozen, sequences.repeated, len(sequences.session_starts) > 0)
    near = params.residual_start == "co_occurrence"
    started = counts > 0  # [n]
    if not near:
        group = groups_of_equal(frozen)  # [n]
        started &= np.bincount(group)[group] > 1
    if not params.residual_width or not started.any():
        return model
    information = ppmi_matrix(sequences, len(counts)) if near else None
    for number, member in enumerate(model.members):
        seed, shape = params.seed + number, (len(counts), params.residual_width)  # [n, R]
        if information is not None:
            from sklearn.utils.extmath import randomized_svd  # a second of imports, which only sparse data needs

            # The leading singular vectors, by one thread, so that the number of threads changes no bit.
            with threadpool_limits(limits=1):
                left, values, _ = randomized_svd(information, min(shape), random_state=seed % 2**32)  # [n, k], [k]
            vectors = (left * np.sqrt(values)).astype(np.float32)  # [n, k]
            vectors *= (counts / (counts + RARE))[:, None]
        else:
            vectors = np.random.default_rng(seed).standard_normal(shape, np.float32)  # [n, R]
            vectors[~started] = 0
        vectors /= np.linalg.norm(vectors[started], axis=1).mean() or 1
        with torch.no_grad():
            member.items.residual[:, : vectors.shape[1]] = torch.from_numpy(vectors)
    return model


def ppmi_matrix(sequences: Sequences, item_count: int) -> csr_array:
    """Return the positive pointwise mutual information of items, symmetric [n, n], sparse.

    Two items occur together once for each pair of their places in a training history that are at most `WINDOW` apart
    (Levy & Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization"; `CONTEXT` is of Levy, Goldberg &
    Dagan 2015, doi 10.1162/tacl_a_00134). A pair seen c times keeps c / (c + 1) of its information.
    """
    items, owners = sequences.training()  # [N] each
    items = items.astype(np.int32)  # a pair takes 8 bytes less
    shape = item_count, item_count
    pairs = csr_array(shape, dtype=np.float32)
    for distance in range(1, min(WINDOW, len(items) - 1) + 1):
        same = owners[:-distance] == owners[distance:]
        ends = items[:-distance][same], items[distance:][same]
        pairs += csr_array((np.ones(len(ends[0]), np.float32), ends), shape)
    pairs = (pairs + pairs.T).tocoo()
    totals = np.bincount(pairs.row, pairs.data, item_count)  # [n]
    contexts = totals**CONTEXT / max(1, (totals**CONTEXT).sum())  # [n]
    information = np.log(pairs.data / (totals[pairs.row] * contexts[pairs.col])) * pairs.data / (pairs.data + 1)
    kept = (information > 0) & (pairs.row != pairs.col)
    positive = csr_array((information[kept].astype(np.float32), (pairs.row[kept], pairs.col[kept])), shape)
    return csr_array((positive + positive.T) / 2)
