"""Training of the fusion on validation targets; the sequence model stays fixed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.errors import DataError, NumericalError
from ..core.progress import track
from ..core.sequences import NO_TARGET, Sequences, split_users
from ..model.checkpoint import CHOSEN_BY, state_of
from ..model.scorer import Scorer
from ..model.sources import Query, Retrieved, Source
from ..rag.fusion import Fusion, initial_values
from ..rag.params import FusionParams
from ..rag.trends import Trends
from ..ranking.evaluator import rank_in_batches
from ..ranking.metrics import metrics_from_ranks

RETRIEVAL_BATCH = 2048  # queries per search
VALIDATE_EVERY = 60  # steps
EPOCHS = 30  # passes over the examples at most: with few examples, more steps overfit
Rows = NDArray[np.int64]
ValidateFusion = Callable[[Fusion], dict[str, float]]
FusionCurve = list[dict[str, float]]


@dataclass(frozen=True)
class FusionExamples:
    """N targets of users and the items retrieved for them; all training steps share one retrieval."""

    query: Query
    targets: Rows  # [N], item rows
    retrieved: dict[str, Retrieved]  # by the name of the source

    @classmethod
    def collect(cls, query: Query, targets: Rows, sources: Mapping[str, Source]) -> "FusionExamples":
        """Retrieve items from every source for all users of the query."""
        batches = np.split(np.arange(len(query)), range(RETRIEVAL_BATCH, len(query), RETRIEVAL_BATCH))
        parts: dict[str, list[Retrieved]] = {name: [] for name in sources}
        for rows in track(batches, desc="retrieve", unit="batch"):
            batch = query.take(rows)
            for name, source in sources.items():
                parts[name].append(Retrieved.joined([source.retrieve(batch)]))
        return cls(query, targets, {name: Retrieved.joined(parts.pop(name)) for name in sources})

    @classmethod
    def validation(
        cls, scorer: Scorer, sequences: Sequences, sources: Mapping[str, Source], most: int
    ) -> tuple["FusionExamples", tuple[Rows, Rows]]:
        """Return the validation targets of two halves of the users as examples, and the rows of each half.

        The fusion learns from the first half; the second is held out. Of each half, at most `most` users and `most`
        targets are drawn at random.
        Raises ``DataError`` if fewer than two users have a validation target.
        """
        having = np.flatnonzero(sequences.validation != NO_TARGET)
        owners = sequences.owners[having]
        if len(np.unique(owners)) < 2:
            what = "fewer than two users have a validation target, so the fusion has nothing to learn from"
            remedy = "use data in which more users have 3 interactions or more; for a split by time, choose other cuts"
            raise DataError(what, "split.parquet", remedy)
        before = sequences.validation_histories()
        generator = np.random.default_rng([scorer.model.params.seed, len(having)])
        halves = (having[half] for half in split_users(owners, most))
        first, second = (np.sort(generator.permutation(half)[:most]) for half in halves)
        rows = np.concatenate([first, second])  # [N]
        states = [
            scorer.states_in_batches([before[row] for row in half], sequences.owners[half]) for half in (first, second)
        ]
        query = Query(torch.cat(states).numpy(), sequences.owners[rows], [before[row] for row in rows])
        places = np.arange(len(first)), np.arange(len(first), len(rows))
        return cls.collect(query, sequences.validation[rows], sources), places

    @torch.no_grad()
    def scored(self, rows: Rows, scorer: Scorer, sources: Sequence[str]) -> tuple[Tensor, Query, Sequence[Retrieved]]:
        """Return the model's logits [B, n], queries and retrieved items of the examples at these rows."""
        query, found = self.query.take(rows), [self.retrieved[name].take(rows) for name in sources]
        return scorer.model_scores(torch.from_numpy(query.states), query.histories), query, found


class Learned(NamedTuple):
    """A trained fusion, its learning curve, and NDCG@10 of the sequence model alone on the held-out examples."""

    params: FusionParams  # with the sources of this fusion
    fusion: Fusion
    curve: FusionCurve
    alone: float

    @property
    def best(self) -> float:
        """The best NDCG@10 of the curve."""
        return max(record[CHOSEN_BY] for record in self.curve)

    @property
    def gained(self) -> bool:
        """Whether training was better than the untrained fusion, plain interpolation."""
        return self.best > self.curve[0][CHOSEN_BY]

    @property
    def used(self) -> bool:
        """Whether the fusion ranks at least as well as the model alone; if not, it gives the model all weight."""
        return self.best >= self.alone


@dataclass(frozen=True)
class FusionTrainer:
    """Trains fusions on the same examples; the sequence model stays fixed.

    The model must not have been trained on the targets: it is overconfident on its training targets, so the fusion
    would give all weight to the model.
    """

    params: FusionParams  # its sources are those of the examples
    scorer: Scorer  # of the sequence model alone, in float32
    counts: NDArray[np.int64]  # [n], training interactions of each item
    examples: FusionExamples
    trends: Trends | None = None  # source `trending`, if `params` names it

    def learn(self, rows: Rows, held_out: Rows) -> Learned:
        """Train a new fusion; the held-out examples pick the step, and whether `trending` is a source.

        If the sequence model alone ranks the held-out examples better, the fusion ranks as the model does. Rows are of
        the examples.
        """
        alone = self._metrics(held_out, self.params)[CHOSEN_BY]
        without = self.params.without("trending")
        choices = [without, self.params] if without.sources and without != self.params else [self.params]
        tried = []
        for params in choices:
            fusion = self._new(params)
            curve = self.train(fusion, params, rows, partial(self._metrics, held_out, params))
            tried.append(Learned(params, fusion, curve, alone))
            if not tried[-1].used:
                fusion.trust_the_model()
        return max(tried, key=lambda learned: learned.best)

    def learn_from_all(self, learned: Learned) -> Fusion:
        """Train the chosen fusion anew on all examples; none is left to pick a step, so the last one is kept.

        It stays untrained if training did not gain on the held-out examples.
        """
        fusion = self._new(learned.params)
        if learned.gained:
            self.train(fusion, learned.params, np.arange(len(self.examples.targets)))
        if not learned.used:
            fusion.trust_the_model()
        return fusion

    def train(
        self, fusion: Fusion, params: FusionParams, rows: Rows, validate: ValidateFusion | None = None
    ) -> FusionCurve:
        """Maximise the likelihood of the targets under the mixture; leave the best validated weights in `fusion`.

        `validate` returns metrics of a fusion on other users, every `VALIDATE_EVERY` steps; NDCG@10 picks the weights.
        Without it, the last weights stay. There are `params.steps` steps, but at most `EPOCHS` passes over the
        examples. The learning rate falls to zero, which evens out the noise of the last steps. Returns one record per
        validation; step 0, without a loss, is the untrained interpolation.
        """
        optimizer = torch.optim.AdamW(fusion.parameters(), lr=params.learning_rate, weight_decay=0.01)
        generator, count = np.random.default_rng([self._seed, len(rows)]), -(-len(rows) // params.batch_users)
        steps = min(params.steps, EPOCHS * count)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
        batches = (batch for _ in range(EPOCHS) for batch in np.array_split(generator.permutation(rows), count))
        curve: FusionCurve = [{"step": 0, **validate(fusion.eval())}] if validate else []
        best, losses = state_of(fusion), []
        for step, batch in zip(track(range(1, steps + 1), desc="fusion", unit="step"), batches, strict=False):
            targets = torch.from_numpy(self.examples.targets[batch])
            inputs = self.examples.scored(batch, self.scorer, params.sources)
            likelihood = fusion.train().log_likelihood(*inputs, targets)  # [B]
            allowed = likelihood > -torch.inf  # [B], targets that may be recommended
            loss = -likelihood[allowed].sum() / allowed.sum().clamp(min=1)
            if not torch.isfinite(loss):
                raise NumericalError(f"the fusion's loss is {loss.item()}", remedy="lower fusion.learning_rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if validate is None or (step % VALIDATE_EVERY and step < steps):
                continue
            curve.append({"step": step, "train_loss": sum(losses) / len(losses), **validate(fusion.eval())})
            losses.clear()
            if curve[-1][CHOSEN_BY] > max(record[CHOSEN_BY] for record in curve[:-1]):
                best = state_of(fusion)
        if validate is not None:
            fusion.load_state_dict(best)
        return curve

    @property
    def _seed(self) -> int:
        return self.scorer.model.params.seed

    def _new(self, params: FusionParams) -> Fusion:
        trends = self.trends if "trending" in params.sources else None
        return Fusion(initial_values(params), self.counts, self._seed, trends)

    def _metrics(self, rows: Rows, params: FusionParams, fusion: Fusion | None = None) -> dict[str, float]:
        """Return the metrics of a fusion on the examples at these rows; None: of the sequence model alone."""

        def score(batch: Rows) -> Tensor:
            inputs = self.examples.scored(rows[batch], self.scorer, params.sources if fusion else ())
            return fusion(*inputs).scores if fusion else inputs[0]  # [B, n]

        query, targets, scorer = self.examples.query.take(rows), self.examples.targets[rows], self.scorer
        ranks = rank_in_batches(score, query.histories, targets, scorer.candidates, params.batch_users, scorer.repeated)
        return metrics_from_ranks(ranks)
