"""Evaluation of both variants, and their comparison."""
