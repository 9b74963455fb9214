"""The base of all rooms: errors, files, params, signals, and how a stage runs."""

VARIANTS = ("hierarchical", "rag")
"""Names of the two recommenders."""
