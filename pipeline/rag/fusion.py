"""Fusion of the model with retrieval: a learned mixture of their distributions, corrected for each retrieved item."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..model.sources import Mixture, Query, Retrieved
from .params import FusionParams
from .similar_items import LATEST
from .trends import FEATURES, WINDOWS, Trends

# Added to a source's probabilities before the product, so that items that it did not retrieve stay possible.
FLOOR = 1e-3
LOWEST, LEAST = -1e30, 1e-30
"""Logit of an excluded item and the least probability, where infinity would have no gradient."""
NO_TRUST = -1e4  # bias of the gate that gives a source no weight
HIDDEN = 16  # width of the network that corrects the score of a retrieved item
PART = 2**16
"""Pairs that the network reads at a time. Arrays of one size take less memory than batches, which differ in size."""


@dataclass(frozen=True)
class InitialValues:
    """Initial values for one source: plain interpolation, as in kNN-LM."""

    lowest: int  # age
    highest: int  # age
    share: float  # weight of the source, relative to 1 for the model
    temperature: float  # of its similarities
    doubling: bool = False  # ages 1 to 2 share a weight, as do 3 to 6, 7 to 14, …

    def bins(self, ages: Tensor) -> Tensor:
        """Return which weight each age has, int64 [K]; ages are float32 [K]."""
        return (torch.log2(ages + 1) if self.doubling else ages).long() - self.lowest

    def log_weights(self) -> Tensor:
        """Return the log-weight of each bin of ages; it falls with the distance from age 0."""
        bins = self.bins(torch.tensor([self.highest])).item() + 1
        ages = torch.arange(self.lowest, self.lowest + bins, dtype=torch.float32)
        return torch.where(ages < 0, 0.2 * (ages + 1) - 1.6, -0.5 * ages)


def initial_values(params: FusionParams) -> list[InitialValues]:
    """Return the initial values for each source that `params` names; they were chosen by validation."""
    known = {
        "next_items": InitialValues(-params.preceding, params.following - 1, 1.2, 0.07),
        "items": InitialValues(0, params.recent_items - 1, 0.1, 0.05),
        "co_occurring": InitialValues(0, params.recent_items - 1, 0.2, 0.2),
        "history": InitialValues(0, LATEST - 1, 0.3, 1.0, doubling=True),
        "trending": InitialValues(0, len(WINDOWS) - 1, 0.1, 0.1),
    }
    return [known[name] for name in params.sources]


class Fusion(nn.Module):
    """A learned mixture of distributions over the items, then a product of experts.

    Source s gives p_s(i), the share of item i in softmax(similarity / temperature_s + weight_s[age]) over its retrieved
    items (kNN-LM, arXiv 1911.00172). A gate weighs model and sources; it is linear in three confidence features per
    source and the history's length (adaptive interpolation, He et al. 2021, arXiv 2109.04212). The mixture is
    multiplied by (p_s(i) + FLOOR) ** power_s, a product of experts (Hinton 2002): an item on which model and sources
    agree gains more than the mixture alone gives it. Last, a small network corrects the log-probability of each
    retrieved item, at first by zero. It reads the model's log-probability, the logarithm of the item's training
    interactions, and for each source the logarithms of the item's share and of its number of places.

    Args:
        sources: initial values, one for each source.
        counts: int64 [n], training interactions of each item.
        seed: of the network's initial weights.
        trends: further evidence for the network, if source `trending` is one of the sources.
    """

    def __init__(
        self, sources: Sequence[InitialValues], counts: NDArray[np.int64], seed: int = 0, trends: Trends | None = None
    ) -> None:
        super().__init__()
        temperatures = [1.0, *(source.temperature for source in sources)]  # the model's first
        self.log_temperature = nn.Parameter(torch.log(torch.tensor(temperatures)))  # [S + 1]
        self.age_weights = nn.ParameterList([source.log_weights() for source in sources])
        self.sources, self.trends = sources, trends
        self.power = nn.Parameter(torch.zeros(len(sources)))
        self.gate = nn.Linear(3 * len(sources) + 1, len(sources) + 1)
        nn.init.zeros_(self.gate.weight)
        with torch.no_grad():
            self.gate.bias.copy_(torch.log(torch.tensor([1.0, *(source.share for source in sources)])))
        # Not in the checkpoint: it follows from the data, which may grow.
        logs = torch.from_numpy(counts).double().log1p()  # [n]
        popularity = ((logs - logs.mean()) / logs.std(correction=0).clamp(min=1e-3)).float()  # [n]
        self.popularity: Tensor = nn.Buffer(popularity, persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.hidden = nn.Linear(2 * len(sources) + 2 + (FEATURES if trends else 0), HIDDEN)
        self.correction = nn.Linear(HIDDEN, 1)
        for parameter in self.correction.parameters():
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def trust_the_model(self) -> None:
        """Rank as the sequence model does, except for items whose probability is below `LEAST`.

        The gate gives it all weight, and nothing corrects its probabilities.
        """
        for parameter in (self.gate.weight, self.power, *self.correction.parameters()):
            parameter.zero_()
        self.gate.bias[1:] = NO_TRUST
        self.gate.bias[0] = 0

    def forward(self, model_scores: Tensor, query: Query, retrieved: Sequence[Retrieved]) -> Mixture:
        """Return the fused scores and their parts.

        `model_scores`, [B, n], are -inf where an item may not be recommended; `retrieved` has the items of each source.
        The sources retrieve a small part of the catalogue. So shares of sources are computed only for the P pairs of a
        user and an item that some source retrieved; all other items have the model's probability alone.
        """
        allowed = model_scores > -torch.inf  # [B, n]
        model = (model_scores / self.log_temperature[0].exp()).log_softmax(-1)  # [B, n]
        pairs, places, _ = _pairs(retrieved, allowed)  # [P], S times [B, K]
        found, trust, weights = self._fuse(model.take(pairs), pairs, places, query, retrieved)
        # The model's weight alone for an item that no source retrieved.
        scores = (model + trust[:, :1]).flatten()  # [B n]
        scores = scores.index_copy(0, pairs, found).view_as(model)  # [B, n]
        scores = scores.log_softmax(-1).masked_fill(~allowed, -torch.inf)  # NaN for a user without allowed items
        return Mixture(scores, trust.exp(), model, weights)

    def log_likelihood(
        self, model_scores: Tensor, query: Query, retrieved: Sequence[Retrieved], targets: Tensor
    ) -> Tensor:
        """Return the log-probability of one item for each user, [B]; -inf where it may not be recommended.

        These are the scores of `forward` at `targets`, int64 [B]. Only the sum over all items reads the whole
        catalogue, which makes a step of training a sixth faster.
        """
        users, n = model_scores.shape
        logits = model_scores.clamp(min=LOWEST)  # [B, n]
        temperature = self.log_temperature[0].exp()
        total = (logits / temperature).logsumexp(-1)  # [B]
        at = targets + n * torch.arange(users)  # [B]
        allowed = model_scores > -torch.inf  # [B, n]
        pairs, places, numbers = _pairs(retrieved, allowed)  # [P], S times [B, K], [B n + 1]
        owners = pairs // n  # [P]
        model = logits.take(pairs) / temperature - total[owners]  # [P]
        found, trust, _ = self._fuse(model, pairs, places, query, retrieved)
        paired = model.new_zeros(users).index_add(0, owners, model.exp())  # [B], the model's probability of pairs
        others = trust[:, 0] + (1 - paired).clamp(min=LEAST).log()  # [B], all other items together
        peak = others.scatter_reduce(0, owners, found, "amax").detach()  # [B]
        mass = (others - peak).exp().index_add(0, owners, (found - peak[owners]).exp())  # [B]
        alone = logits.take(at) / temperature - total + trust[:, 0]  # [B]
        target = numbers.take(at)  # [B]
        both = torch.cat([found, found.new_zeros(1)])  # [P + 1]
        likelihood = both[target].where(target < len(pairs), alone) - peak - mass.log()  # [B]
        return likelihood.masked_fill(~allowed.take(at), -torch.inf)

    def _fuse(
        self, model: Tensor, pairs: Tensor, places: Sequence[Tensor], query: Query, retrieved: Sequence[Retrieved]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Fuse the model's log-probabilities [P] of the pairs with what the sources retrieved; see `_pairs`.

        Returns log-probabilities [P], not yet normalised; log-weights of model and sources, [B, S + 1]; and, per
        source, weights as in `Mixture`.
        """
        n, probability = len(self.popularity), model.exp()
        owners, items = pairs // n, pairs % n  # [P] each
        features, weights, shares = [], [], []
        for source, (rows, at) in enumerate(zip(retrieved, places, strict=True)):
            similarities = torch.from_numpy(rows.similarities).to(model.dtype)  # [B, K]
            ages = torch.from_numpy(rows.ages)  # [K]
            weights.append(self._weights(source, at < len(pairs), similarities, ages))  # [B, K]
            share = model.new_zeros(len(pairs) + 1)  # the last place collects items that are not usable
            shares.append(share.index_add(0, at.flatten(), weights[-1].flatten())[:-1])  # [P]
            zeros = model.new_zeros(len(query))  # [B]
            similarity = (weights[-1] * similarities).sum(-1)  # [B]
            greatest = zeros.scatter_reduce(0, owners, shares[-1], "amax")  # [B]
            agreement = zeros.index_add(0, owners, shares[-1] * probability)  # [B]
            features += [similarity, greatest, agreement]
        features.append(torch.log1p(query.lengths().to(model.dtype)) / 5)
        found_any = [weight.sum(-1) > 0 for weight in weights]  # S times [B]
        usable = torch.stack([torch.ones_like(found_any[0]), *found_any], dim=-1)  # [B, S + 1]
        gates = self.gate(torch.stack(features, dim=-1))  # [B, 3 S + 1] -> [B, S + 1]
        trust = gates.masked_fill(~usable, -torch.inf).log_softmax(-1)  # [B, S + 1]
        share = torch.stack(shares)  # [S, P]
        mixed = trust[owners, 0].exp() * probability + (trust[owners, 1:].exp().T * share).sum(0)  # [P]
        logs = (share / FLOOR).log1p()  # [S, P]
        counts = [torch.bincount(at.flatten(), minlength=len(pairs) + 1)[:-1] for at in places]  # S times [P]
        numbers = torch.stack(counts).to(model.dtype).log1p()  # [S, P]
        # In units of about 1.
        evidence = [(model + 8)[None] / 3, self.popularity[items][None].to(model.dtype), logs / 2, numbers / 2]
        if self.trends is not None:
            before = torch.from_numpy(self.trends.before(query))[owners]  # [P]
            recent = torch.from_numpy(self.trends.evidence(before.numpy(), items.numpy()))  # [FEATURES, P]
            evidence.append(recent.to(model.dtype))
        # Relative to an item that no source retrieved.
        experts = self.power @ logs + self._correction(torch.cat(evidence))  # [P]
        # The clamp keeps an allowed item ahead of an excluded one even where all its shares underflow.
        return mixed.clamp(min=LEAST).log() + experts, trust, weights

    def _correction(self, evidence: Tensor) -> Tensor:
        """Return the correction of each pair, [P], from its evidence [E, P]."""
        corrections = []
        for part in evidence.split(PART, dim=1):  # [E, at most PART]
            hidden = F.gelu(self.hidden.weight @ part + self.hidden.bias[:, None])  # [HIDDEN, at most PART]
            corrections.append((self.correction.weight @ hidden).squeeze(0) + self.correction.bias)
        return torch.cat(corrections)

    def _weights(self, source: int, usable: Tensor, similarities: Tensor, ages: Tensor) -> Tensor:
        """Return the weight of each retrieved item, [B, K]; rows sum to 1, or to 0 where no item is usable."""
        weights = self.age_weights[source][self.sources[source].bins(ages)]  # [K]
        logits = similarities / self.log_temperature[source + 1].exp() + weights  # [B, K]
        logits = logits.masked_fill(~usable, -torch.inf)
        peak = logits.amax(-1, keepdim=True).clamp(min=LOWEST)
        weights = torch.exp(logits - peak)  # [B, K]
        return weights / weights.sum(-1, keepdim=True).clamp(min=LEAST)


def _pairs(retrieved: Sequence[Retrieved], allowed: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """Number the pairs of a user and an allowed item, bool [B, n], that some source retrieved.

    Returns the place of each pair in a flat [B, n], int64 [P], ascending; per source the number of each retrieved
    item's pair, int64 [B, K]; and the number of the pair at each place of a flat [B, n], int64 [B n + 1]. A number is P
    where the item is negative, not allowed or not retrieved.
    """
    users, n = allowed.shape
    start = n * torch.arange(users)[:, None]  # [B, 1]
    items = [torch.from_numpy(found.items).long() for found in retrieved]  # S times [B, K]
    # One place more, for items that are negative.
    places = [(rows + start).where(rows >= 0, users * n) for rows in items]  # S times [B, K]
    found = torch.zeros(users * n + 1, dtype=torch.bool)
    for place in places:
        found.index_fill_(0, place.flatten(), True)
    pairs = (found[:-1] & allowed.flatten()).nonzero().squeeze(1)  # [P]
    numbers = torch.full((users * n + 1,), len(pairs))
    numbers[pairs] = torch.arange(len(pairs))
    return pairs, [numbers.take(place) for place in places], numbers
