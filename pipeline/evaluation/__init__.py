"""Ranks over the full catalogue, and the metrics that follow from them."""
