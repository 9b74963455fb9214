"""Section `evaluate` of params.yaml."""

from ..core.params import Positive, Section, Seed, Share


class EvaluateParams(Section):
    """Full-catalogue evaluation, and the comparison of the variants."""

    batch_users: Positive
    seed: Seed
    """Seed of `users`, the perturbed histories, the bootstrap, and the users whose validation targets the baselines
    rank."""
    users: Positive | None = None
    """Users whose targets are ranked, at most; the seed draws them; null: all users."""
    perturbed_share: Share
    """Share of a history's items that are dropped or replaced to see how robust a variant is."""
    perturbed_users: Positive
    """Users, drawn by the seed, whose perturbed histories are ranked; all where there are fewer."""
    resamples: Positive
    """Bootstrap resamples of the users, for intervals and p-values."""
