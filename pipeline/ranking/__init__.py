"""Ranks of targets among all candidates, and metrics computed from ranks."""
