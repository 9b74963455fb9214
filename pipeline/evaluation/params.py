"""Section `evaluate` of params.yaml."""

from ..core.params import Positive, Section, Seed, Share


class EvaluateParams(Section):
    """Full-catalogue evaluation, and the comparison of the variants. params.yaml describes the keys."""

    batch_users: Positive
    seed: Seed
    users: Positive | None = None
    perturbed_share: Share
    perturbed_users: Positive
    resamples: Positive
