"""Ranks of targets among all candidates, and the metrics that follow from ranks."""
