"""Scores of all items: from the sequence model alone (`hierarchical`), or fused with retrieval (`rag`)."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.errors import DataError
from ..core.sequences import Sequences, pad_histories
from ..ranking.ranking import excluded_items
from .ensemble import UserModel
from .sources import Mixture, Query, Retrieved, Source

BATCH = 256


@dataclass(frozen=True)
class Scored:
    """A batch with its scores and the intermediate results."""

    query: Query
    scores: Tensor  # [B, n], logits of the model or log-probabilities of the fusion; -inf: not to be recommended
    retrieved: Sequence[Retrieved] = ()  # one per source
    mixture: Mixture | None = None  # of the fusion


class Scorer:
    """Scores all items with one forward pass and one product, and fuses the scores with retrieval.

    Item keys and inputs are computed once, so a model that is trained further needs a new scorer.

    Args:
        model: trained.
        candidates: bool [n], items that may be recommended.
        sources: of retrieval, in the fusion's order; none for variant `hierarchical`.
        fusion: module (model scores, query, retrieved) -> `Mixture`, trained with this model and these sources; None
            without sources.
        dtype: float64 rounds too little to change a rank, whatever the batch size; float32 is twice as fast.
        sequences: the users whose histories are scored. They say whether an item of the history may be recommended
            again (without them, it may not), and hold the gaps. ``DataError`` if the model reads gaps they lack.
    """

    def __init__(
        self,
        model: UserModel,
        candidates: NDArray[np.bool_],
        sources: Mapping[str, Source] | None = None,
        fusion: nn.Module | None = None,
        dtype: torch.dtype = torch.float64,
        sequences: Sequences | None = None,
    ) -> None:
        self.model = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
        self.model.eval()
        self.candidates, self.dtype = candidates, dtype
        self.repeated = sequences is not None and sequences.repeated
        self._gap_source = sequences if model.params.time == "gaps" else None
        if model.params.time == "gaps" and (sequences is None or not len(sequences.gaps)):
            what = "the model reads the time between items, and the data has none"
            raise DataError(what, "times/gaps.parquet", "run `dvc repro`, or `dvc pull`")
        self.sources = dict(sources or {})
        self.fusion = None if fusion is None else copy.deepcopy(fusion).to(dtype).eval()
        with torch.no_grad():
            self._item_inputs = self.model.item_inputs()  # [n, D]
            self._keys, self._biases = self.model.item_keys()  # [n, D], [n]

    def states(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64] | None = None) -> Tensor:
        """Return the user states after the histories, [B, D]; without the users, their gaps are unknown."""
        limit, gaps = self.model.params.history, None
        rows, lengths = pad_histories(histories, limit)
        if self._gap_source is not None and users is not None:
            stored = [self._gap_source.gaps_of(*pair) for pair in zip(histories, users, strict=True)]
            gaps = torch.from_numpy(pad_histories(stored, limit)[0])  # [B, T]
        return self.model.states(torch.from_numpy(rows), torch.from_numpy(lengths), self._item_inputs, gaps)

    @torch.inference_mode()
    def states_in_batches(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64] | None = None) -> Tensor:
        """Return the user states [N, D] of many histories, `BATCH` at a time; arguments as for `states`."""
        parts = [slice(start, start + BATCH) for start in range(0, len(histories), BATCH)]
        return torch.cat([self.states(histories[part], None if users is None else users[part]) for part in parts])

    def model_scores(self, states: Tensor, histories: Sequence[NDArray[np.int64]]) -> Tensor:
        """Return the model's logits [B, n] for states [B, D]; -inf where an item may not be recommended."""
        scores = states @ self._keys.T + self._biases  # [B, n]
        if self.repeated:
            rows, counts = pad_histories(histories, self.model.params.history)
            gains = self.model.repeat_gains(states, torch.from_numpy(rows), torch.from_numpy(counts))
            scores = scores + gains  # [B, n]
        excluded = excluded_items(histories, self.candidates, self.repeated)  # [B, n]
        return scores.masked_fill(excluded, -torch.inf)  # [B, n]

    @torch.inference_mode()
    def score(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Scored:
        """Score all items for histories of item rows, oldest first.

        `users`, int64 [B], are user rows, to exclude a user's own entries from retrieval and to find the stored
        gaps of the history; `ANONYMOUS` if unknown.
        """
        states = self.states(histories, users)  # [B, D]
        query = Query(states.float().numpy(), users, histories)
        scores = self.model_scores(states, histories)  # [B, n]
        if self.fusion is None:
            return Scored(query, scores)
        retrieved = [source.retrieve(query) for source in self.sources.values()]
        mixture: Mixture = self.fusion(scores, query, retrieved)
        return Scored(query, mixture.scores, retrieved, mixture)

    def score_histories(self, histories: list[NDArray[np.int64]], users: NDArray[np.int64]) -> Tensor:
        """Return only the scores of `score`, [B, n]."""
        return self.score(histories, users).scores
