"""Training of the fusion on validation targets; the sequence model stays fixed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
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
ValidateFusion = Callable[[Fusion], dict[str, float]]
FusionCurve = list[dict[str, float]]


@dataclass(frozen=True)
class FusionExamples:
    """N targets of users and the items retrieved for them; all training steps share one retrieval."""

    query: Query
    targets: NDArray[np.int64]  # [N], item rows
    retrieved: list[Retrieved]  # one per source, in the fusion's order

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def collect(cls, query: Query, targets: NDArray[np.int64], sources: Mapping[str, Source]) -> "FusionExamples":
        """Retrieve items from every source for every user."""
        parts: list[list[Retrieved]] = [[] for _ in sources]
        rows = np.arange(len(targets))
        starts = range(0, max(1, len(targets)), RETRIEVAL_BATCH)
        for start in track(starts, desc="retrieve", unit="batch"):
            batch = query.take(rows[start : start + RETRIEVAL_BATCH])
            for part, source in zip(parts, sources.values(), strict=True):
                part.append(source.retrieve(batch))
        return cls(query, targets, [Retrieved.joined(part) for part in parts])

    @classmethod
    def validation(
        cls, scorer: Scorer, sequences: Sequences, sources: Mapping[str, Source], most: int
    ) -> tuple["FusionExamples", "FusionExamples"]:
        """Return the validation targets of two halves of the users, with the histories before them.

        The fusion learns from the first half; the second is held out. Of each half, `most` users are drawn at random
        with the model's seed.

        Raises:
            DataError: fewer than two users have a validation target.
        """
        having = np.flatnonzero(sequences.validation != NO_TARGET)
        owners = sequences.owners[having]
        if len(np.unique(owners)) < 2:
            raise DataError(
                "fewer than two users have a validation target, so the fusion has nothing to learn from",
                "split.parquet",
                "use data in which more users have 3 interactions or more; for a split by time, choose other cuts",
            )
        before = sequences.validation_histories()

        def examples(rows: NDArray[np.int64]) -> "FusionExamples":
            histories, users = [before[row] for row in rows], sequences.owners[rows]
            states = scorer.states_in_batches(histories, users).numpy()  # [N, D]
            return cls.collect(Query(states, users, histories), sequences.validation[rows], sources)

        first, second = split_users(owners, scorer.model.params.seed, most)
        return examples(having[first]), examples(having[second])

    def joined(self, other: "FusionExamples") -> "FusionExamples":
        """Return these examples and then the other ones, of the same sources."""
        query, more = self.query, other.query
        states, users = np.concatenate([query.states, more.states]), np.concatenate([query.users, more.users])
        retrieved = [Retrieved.joined(pair) for pair in zip(self.retrieved, other.retrieved, strict=True)]
        targets = np.concatenate([self.targets, other.targets])
        return FusionExamples(Query(states, users, query.histories + more.histories), targets, retrieved)

    def only(self, kept: Sequence[bool]) -> "FusionExamples":
        """Return the examples with the items of some sources; `kept` has a flag for each source."""
        return replace(self, retrieved=list(compress(self.retrieved, kept)))

    @torch.no_grad()
    def scored(self, rows: NDArray[np.int64], scorer: Scorer) -> tuple[Tensor, Query, Sequence[Retrieved]]:
        """Return what a fusion reads for the examples at these rows: first the sequence model's logits, [B, n]."""
        query, found = self.query.take(rows), [found.take(rows) for found in self.retrieved]
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
    def used(self) -> bool:
        """Whether the fusion ranks at least as well as the model alone; if not, it gives the model all weight."""
        return self.best >= self.alone


def learn(
    params: FusionParams,
    scorer: Scorer,
    counts: NDArray[np.int64],
    learned_from: FusionExamples,
    held_out: FusionExamples,
    trends: Trends | None,
) -> Learned:
    """Train a new fusion; the metrics of the held-out examples pick the step, and whether `trending` is a source.

    If the sequence model alone ranks the held-out examples better, the fusion ranks as the model does. Counts,
    int64 [n], are the training interactions of each item; trends are source `trending`, if `params` names it. Raises as
    `train_fusion`.
    """
    seed = scorer.model.params.seed

    def validate(score: Callable[[NDArray[np.int64]], Tensor]) -> dict[str, float]:
        histories, targets = held_out.query.histories, held_out.targets
        ranks = rank_in_batches(score, histories, targets, scorer.candidates, params.batch_users, scorer.repeated)
        return metrics_from_ranks(ranks)

    def trained(used: FusionParams) -> Learned:
        kept = [name in used.sources for name in params.sources]
        examples, others = learned_from.only(kept), held_out.only(kept)
        fusion = Fusion(initial_values(used), counts, seed, trends if "trending" in used.sources else None)
        curve = train_fusion(
            fusion,
            scorer,
            examples,
            used,
            seed,
            lambda fusion: validate(lambda rows: fusion(*others.scored(rows, scorer))),
        )
        learned = Learned(used, fusion, curve, alone)
        if not learned.used:
            fusion.trust_the_model()
        return learned

    alone = validate(lambda rows: held_out.scored(rows, scorer)[0])[CHOSEN_BY]
    without = params.without("trending")
    choices = [without, params] if without.sources and without != params else [params]
    return max(map(trained, choices), key=lambda learned: learned.best)


def learn_from_all(
    params: FusionParams, learned: Learned, scorer: Scorer, counts: NDArray[np.int64], examples: FusionExamples
) -> Fusion:
    """Train the chosen fusion anew on the examples of both halves.

    No validation target is left to pick a step, so the last one is kept. `learned` is what `learn` returned for
    `params`, which name the sources of the examples. Raises as `train_fusion`.
    """
    used, seed = learned.params, scorer.model.params.seed
    examples = examples.only([name in used.sources for name in params.sources])
    fusion = Fusion(initial_values(used), counts, seed, learned.fusion.trends)
    train_fusion(fusion, scorer, examples, used, seed)
    if not learned.used:
        fusion.trust_the_model()
    return fusion


def train_fusion(
    fusion: Fusion,
    scorer: Scorer,
    examples: FusionExamples,
    params: FusionParams,
    seed: int,
    validate: ValidateFusion | None = None,
) -> FusionCurve:
    """Maximise the likelihood of the targets under the mixture; leave the best validated weights in `fusion`.

    The model must not have been trained on the targets: it is overconfident on its training targets, so the fusion
    would give all weight to the model. The scorer is of the sequence model alone, in float32. The seed orders the
    examples. `validate` returns metrics of a fusion on other users, every `VALIDATE_EVERY` steps; NDCG@10 picks the
    weights. Without it, the last weights stay. There are `params.steps` steps, but at most `EPOCHS` passes over the
    examples. The learning rate falls to zero, which evens out the noise of the last steps.

    Returns:
        One record per validation; step 0, without a loss, is the untrained interpolation.

    Raises:
        NumericalError: the loss is not finite.
    """
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=params.learning_rate, weight_decay=0.01)
    steps = min(params.steps, EPOCHS * -(-len(examples) // params.batch_users))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
    batches = _batches(len(examples), params.batch_users, np.random.default_rng([seed, len(examples)]))
    curve: FusionCurve = [{"step": 0, **validate(fusion.eval())}] if validate else []
    best, losses = state_of(fusion), []
    for step in track(range(1, steps + 1), desc="fusion", unit="step"):
        rows = next(batches)
        targets = torch.from_numpy(examples.targets[rows])
        loss = _loss(fusion.train().log_likelihood(*examples.scored(rows, scorer), targets))
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


def _batches(examples: int, batch_users: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield batches of rows without end, each pass over the examples in another random order."""
    while True:
        yield from np.array_split(generator.permutation(examples), -(-examples // batch_users))


def _loss(likelihood: Tensor) -> Tensor:
    """Return the mean negative log-likelihood [B] over the targets that may be recommended."""
    allowed = likelihood > -torch.inf
    loss = -likelihood[allowed].sum() / allowed.sum().clamp(min=1)
    if not torch.isfinite(loss):
        raise NumericalError(f"the fusion's loss is {loss.item()}", remedy="lower fusion.learning_rate")
    return loss
