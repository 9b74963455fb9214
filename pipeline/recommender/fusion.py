"""Retrieval fused into the recommendation: a mixture of the model's distribution and the sources'."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Where learning starts: interpolation as in kNN-LM, most of the weight on the model.
MODEL_SHARE = 0.7
TEMPERATURE = 0.05


@dataclass(frozen=True)
class Mixture:
    """What the fusion weighs, and how.

    Attributes:
        shares: [B, S + 1], weight of the model and of each source; rows sum to 1.
        distributions: [B, S + 1, n], of the model and of each source.
        weights: per source [B, K], the weight of each retrieved item in its distribution.
    """

    shares: Tensor
    distributions: Tensor
    weights: list[Tensor]


class Fusion(nn.Module):
    """A learned, per-user mixture of distributions over the catalogue.

    Source s gives p_s(i), the share of item i in softmax(similarity / temperature_s - decay_s * age) over what was
    retrieved (kNN-LM, arXiv 1911.00172). A gate, linear in the user's state and in how sure each source is,
    weighs model and sources (adaptive interpolation, He et al. 2021, arXiv 2109.04212).

    Args:
        width: D, width of the user's state.
        sources: number of sources S.
    """

    def __init__(self, width: int, sources: int) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.full((sources,), math.log(TEMPERATURE)))
        self.log_decay = nn.Parameter(torch.full((sources,), math.log(0.1)))
        self.state_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.gate = nn.Linear(width + 3 * sources + 1, sources + 1)
        nn.init.zeros_(self.gate.weight)
        with torch.no_grad():
            shares = [MODEL_SHARE] + [(1 - MODEL_SHARE) / sources] * sources
            self.gate.bias.copy_(torch.log(torch.tensor(shares)))

    def forward(
        self,
        states: Tensor,
        model_scores: Tensor,
        lengths: Tensor,
        retrieved: list[tuple[Tensor, Tensor, Tensor]],
    ) -> Tensor:
        """Mix.

        Args:
            states: [B, D], users.
            model_scores: [B, n], -inf where an item is not to be recommended.
            lengths: [B], items in the history.
            retrieved: per source items int64 [B, K] (-1: none), similarities [B, K] and ages [K].

        Returns:
            [B, n], log-probabilities; -inf where the model's score is.
        """
        mixture = self.mix(states, model_scores, lengths, retrieved)
        fused = torch.einsum("bs,bsn->bn", mixture.shares, mixture.distributions)  # [B, n]
        # Even where all shares underflow, an item that is allowed stays ahead of one that is not.
        return fused.clamp(min=1e-30).log().masked_fill(model_scores == -torch.inf, -torch.inf)

    def mix(
        self,
        states: Tensor,
        model_scores: Tensor,
        lengths: Tensor,
        retrieved: list[tuple[Tensor, Tensor, Tensor]],
    ) -> Mixture:
        """Return the parts of the mixture; arguments as for `forward`."""
        allowed = model_scores > -torch.inf  # [B, n]
        distributions, evidence, weights = [model_scores.softmax(-1)], [], []
        for source, (items, similarities, ages) in enumerate(retrieved):
            weights.append(self._weights(source, items, similarities, ages, allowed))  # [B, K]
            share = torch.zeros_like(model_scores).scatter_add(1, items.clamp(min=0), weights[-1])  # [B, n]
            distributions.append(share)
            evidence.append(self._evidence(weights[-1], similarities, share, distributions[0]))  # [B, 3]
        length = torch.log1p(lengths.to(states.dtype)).unsqueeze(-1) / 5  # [B, 1]
        features = torch.cat([self.state_norm(states), *evidence, length], dim=-1)  # [B, D + 3 S + 1]
        found = [weight.sum(-1) > 0 for weight in weights]  # S times [B]
        usable = torch.stack([torch.ones_like(found[0]), *found], dim=-1)  # [B, S + 1]
        shares = self.gate(features).masked_fill(~usable, -torch.inf).softmax(-1)  # [B, S + 1]
        return Mixture(shares, torch.stack(distributions, dim=1), weights)

    def _weights(
        self, source: int, items: Tensor, similarities: Tensor, ages: Tensor, allowed: Tensor
    ) -> Tensor:
        """Return the weight of each retrieved item, [B, K]; rows sum to 1, or to 0 where nothing is usable."""
        usable = (items >= 0) & allowed.gather(1, items.clamp(min=0))  # [B, K]
        logits = similarities / self.log_temperature[source].exp() - ages * self.log_decay[source].exp()
        logits = logits.masked_fill(~usable, -torch.inf)
        peak = logits.amax(-1, keepdim=True).clamp(min=-1e30)
        weights = torch.exp(logits - peak)  # [B, K]
        return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)

    @staticmethod
    def _evidence(weights: Tensor, similarities: Tensor, share: Tensor, model: Tensor) -> Tensor:
        """Return how sure a source is, [B, 3]: mean similarity, peak of its distribution, agreement with the model."""
        similarity = (weights * similarities).sum(-1)  # [B]
        agreement = (share * model).sum(-1)  # [B]
        return torch.stack([similarity, share.amax(-1), agreement], dim=-1)  # [B, 3]
