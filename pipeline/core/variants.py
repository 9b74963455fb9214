"""The recommenders that there are."""

VARIANTS = ("hierarchical", "rag")
