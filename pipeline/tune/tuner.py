"""Contrastive tuning of the item LLM: texts of items that users take close to each other become similar."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import DataError, NumericalError, memory_needed
from ..core.progress import track
from ..core.sequences import Sequences
from ..encode.encoder import ItemEncoder
from .params import TuneParams

POPULARITY = 0.5
"""A neighbour that is near many items counts less: its weight is divided by its sum in `neighbours` to this power."""
WARMUP_STEPS = 20


def tune(encoder: ItemEncoder, texts: list[str], sequences: Sequences, params: TuneParams, batch_tokens: int) -> float:
    """Tune the encoder's weights in place.

    An epoch divides the items that have neighbours into random batches, so that each item is encoded once. The loss is
    the cross-entropy between the neighbours' weights and the softmax over an item's cosines with the other items of the
    batch, divided by the temperature. There is no dropout. The learning rate falls to zero as a cosine.

    Of the sequences, only training items are read. The encoder reads `batch_tokens` at a time. Returns the mean loss
    of the last epoch. Raises ``DataError`` if no user has two different training items, ``NumericalError`` if the loss
    is not finite, and ``OutOfMemoryError`` if a batch does not fit into memory.
    """
    near = co_occurrence(sequences, len(texts), params.window)  # [n, n]
    degree = near.sum(1)  # [n]
    items = np.flatnonzero(degree)
    if not len(items):
        raise DataError("no user has two different training items, so there is nothing to learn", "interactions")
    scale = np.where(degree > 0, degree, 1) ** -POPULARITY  # [n]
    tokens, place = encoder.tokenise(texts), encoder.files.place
    optimizer = torch.optim.AdamW(encoder.model.parameters(), params.learning_rate, (0.9, 0.98))
    generator = np.random.default_rng(params.seed)

    def step(batch: NDArray[np.int64]) -> float:
        """Update the weights by a batch of items [b]; return the loss."""
        remedy = "lower tune.batch_items or encode.max_length, or use a machine with more memory"
        with memory_needed(f"memory ran out in a batch of {len(batch)} items", place, remedy):
            lengths = np.array([len(tokens[item]) for item in batch])
            parts = list(encoder.batcher.plan(lengths, batch_tokens))
            vectors = [encoder.batcher.vectors([tokens[item] for item in batch[part]], shape) for part, shape in parts]
            rows = batch[np.concatenate([part for part, _ in parts])]  # [b]
            wanted = torch.from_numpy(near[rows][:, rows].toarray() * scale[rows])  # [b, b]
            loss = contrastive_loss(torch.cat(vectors), wanted.to(vectors[0]), params.temperature)
            if not torch.isfinite(loss):
                raise NumericalError(f"the loss is {loss.item()}", place, "lower tune.learning_rate")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.model.parameters(), 1.0)
            optimizer.step()
        return loss.item()

    count = math.ceil(len(items) / params.batch_items)
    steps, done, loss = params.epochs * count, 0, 0.0
    with track(total=steps, desc="tune", unit="batch") as bar:
        for _ in range(params.epochs):
            losses = []
            for batch in np.array_split(generator.permutation(items), count):
                factor = min(1, (done + 1) / WARMUP_STEPS) * (1 + math.cos(math.pi * done / steps)) / 2
                optimizer.param_groups[0]["lr"] = params.learning_rate * factor
                losses.append(step(batch))
                done += 1
                bar.update()
            loss = float(np.mean(losses))
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return loss


def co_occurrence(sequences: Sequences, item_count: int, window: int) -> csr_array:
    """Return how near two items are in training sequences, symmetric, [n, n].

    Two training items of a user that are k places apart, k at most `window`, add 1 / k.
    """
    items, users = sequences.training()  # [N] each
    total = csr_array((item_count, item_count))
    for apart in range(1, min(window, len(items) - 1) + 1):
        left, right = items[:-apart], items[apart:]
        pairs = (users[:-apart] == users[apart:]) & (left != right)
        weights = np.full(int(pairs.sum()), 1 / apart)
        total = total + coo_array((weights, (left[pairs], right[pairs])), total.shape).tocsr()
    return csr_array(total + total.T)


def contrastive_loss(vectors: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of the items, vectors [b, D], that have neighbours in the batch; 0 if none has.

    The softmax, of this temperature, is over the other items. `wanted` are the weights of each item's neighbours,
    [b, b], with zeros on the diagonal.
    """
    unit = F.normalize(vectors, dim=1)  # [b, D]
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    chances = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf).log_softmax(1)  # [b, b]
    total = wanted.sum(1, keepdim=True)  # [b, 1]
    share = wanted / total.where(total > 0, 1)  # [b, b]
    return -(share * chances.masked_fill(itself, 0)).sum() / (total > 0).sum().clamp(min=1)
