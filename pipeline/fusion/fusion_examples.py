"""Users with what was retrieved for them, so that many epochs of fusion cost one retrieval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..core.errors import DataError
from ..data.sequences import NO_TARGET, Sequences, halves
from ..model.hierarchical import HierarchicalRecommender
from ..rag.fusion import Fusion
from ..rag.rag import as_tensors, recommendable
from ..rag.sources import Query, Retrieved, Source

RETRIEVAL_BATCH = 2048
"""Queries per search."""

Found = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class FusionExamples:
    """N users at some point of their sequence.

    Attributes:
        states: float32 [N, D].
        histories: N arrays of item rows, oldest first.
        targets: int64 [N], the items that came next.
        retrieved: items int32 [N, K], similarities [N, K] and ages [K] of each source, in the fusion's order.
    """

    states: NDArray[np.float32]
    histories: list[NDArray[np.int64]]
    targets: NDArray[np.int64]
    retrieved: list[Found]

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def collect(
        cls,
        states: NDArray[np.float32],
        users: NDArray[np.int64],
        histories: list[NDArray[np.int64]],
        targets: NDArray[np.int64],
        sources: Mapping[str, Source],
    ) -> "FusionExamples":
        """Retrieve from every source for every example."""
        parts: list[list[Retrieved]] = [[] for _ in sources]
        starts = range(0, max(1, len(targets)), RETRIEVAL_BATCH)
        for start in tqdm(starts, desc="retrieve", unit="batch", disable=None):
            batch = slice(start, start + RETRIEVAL_BATCH)
            query = Query(states[batch], users[batch], histories[batch])
            for part, source in zip(parts, sources.values(), strict=True):
                part.append(source.retrieve(query))
        return cls(states, histories, targets, [_stacked(part) for part in parts])

    def take(self, rows: NDArray[np.int64]) -> "FusionExamples":
        """Return the examples `rows`."""
        return FusionExamples(
            self.states[rows],
            [self.histories[row] for row in rows],
            self.targets[rows],
            [(items[rows], similarities[rows], ages) for items, similarities, ages in self.retrieved],
        )

    def halves(self, seed: int) -> tuple["FusionExamples", "FusionExamples"]:
        """Return two halves, drawn at random: those to learn from, and those held out."""
        learned_from, held_out = halves(len(self), seed)
        return self.take(learned_from), self.take(held_out)

    @classmethod
    def validation(
        cls, base: HierarchicalRecommender, sequences: Sequences, sources: Mapping[str, Source]
    ) -> "FusionExamples":
        """Return the users who have a validation target, as they stand before it.

        Raises:
            DataError: there are fewer than two.
        """
        users = np.flatnonzero(sequences.validation != NO_TARGET)
        if len(users) < 2:
            raise DataError(
                "fewer than two users have a validation target, so the fusion has nothing to learn from",
                "split.parquet",
                "use data in which more users have 3 interactions or more",
            )
        histories = [sequences.training_items(user) for user in users]
        with torch.inference_mode():
            states = torch.cat(
                [base.states(histories[start : start + 256]) for start in range(0, len(users), 256)]
            ).numpy()  # [N, D]
        return cls.collect(states, users, histories, sequences.validation[users], sources)

    def fuse(
        self,
        batch: NDArray[np.int64],
        base: HierarchicalRecommender,
        fusion: Fusion,
        candidates: NDArray[np.bool_],
    ) -> Tensor:
        """Return the fused log-probabilities [B, n] of the examples `batch`, int64 [B]."""
        histories = [self.histories[index] for index in batch]
        with torch.no_grad():
            model_scores = base.scores(torch.from_numpy(self.states[batch]))  # [B, n]
        scores = recommendable(model_scores, histories, candidates)  # [B, n]
        lengths = torch.tensor([len(history) for history in histories])
        retrieved = [
            as_tensors(items[batch], similarities[batch], ages, scores.dtype)
            for items, similarities, ages in self.retrieved
        ]
        return fusion(scores, lengths, retrieved)


def _stacked(parts: list[Retrieved]) -> Found:
    """Join batches; int32 rows halve the memory of a long collection."""
    return (
        np.concatenate([found.items.astype(np.int32) for found in parts]),
        np.concatenate([found.similarities for found in parts]),
        parts[0].ages,
    )
