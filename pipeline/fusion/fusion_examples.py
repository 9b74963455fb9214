"""Users with the items retrieved for them, so that many epochs of fusion cost one retrieval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from ..core.errors import DataError
from ..data.sequences import NO_TARGET, Sequences, halves
from ..model.scorer import Scorer, lengths
from ..model.sources import Query, Retrieved, Source
from ..rag.fusion import Fusion

RETRIEVAL_BATCH = 2048
"""Queries per search."""


@dataclass(frozen=True)
class FusionExamples:
    """N users, each before a target.

    Attributes:
        query: the users.
        targets: int64 [N], the items that came next.
        retrieved: by each source, in the fusion's order.
    """

    query: Query
    targets: NDArray[np.int64]
    retrieved: list[Retrieved]

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def collect(
        cls, query: Query, targets: NDArray[np.int64], sources: Mapping[str, Source]
    ) -> "FusionExamples":
        """Retrieve from every source for every example."""
        parts: list[list[Retrieved]] = [[] for _ in sources]
        rows = np.arange(len(targets))
        for start in tqdm(
            range(0, max(1, len(targets)), RETRIEVAL_BATCH), desc="retrieve", unit="batch", disable=None
        ):
            batch = query.take(rows[start : start + RETRIEVAL_BATCH])
            for part, source in zip(parts, sources.values(), strict=True):
                part.append(source.retrieve(batch))
        return cls(query, targets, [Retrieved.joined(part) for part in parts])

    @classmethod
    def validation(
        cls, scorer: Scorer, sequences: Sequences, sources: Mapping[str, Source]
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
                [scorer.states(histories[start : start + 256]) for start in range(0, len(users), 256)]
            ).numpy()  # [N, D]
        return cls.collect(Query(states, users, histories), sequences.validation[users], sources)

    def take(self, rows: NDArray[np.int64]) -> "FusionExamples":
        """Return some of the examples."""
        retrieved = [found.take(rows) for found in self.retrieved]
        return FusionExamples(self.query.take(rows), self.targets[rows], retrieved)

    def halves(self, seed: int) -> tuple["FusionExamples", "FusionExamples"]:
        """Return two halves, drawn at random: those to learn from, and those held out."""
        learned_from, held_out = halves(len(self), seed)
        return self.take(learned_from), self.take(held_out)

    def fuse(self, batch: NDArray[np.int64], scorer: Scorer, fusion: Fusion) -> Tensor:
        """Return the fused log-probabilities [B, n] of the examples `batch`, int64 [B]."""
        some = self.take(batch)
        histories = some.query.histories
        with torch.no_grad():
            scores = scorer.model_scores(torch.from_numpy(some.query.states), histories)  # [B, n]
        return fusion(scores, lengths(histories), some.retrieved)
