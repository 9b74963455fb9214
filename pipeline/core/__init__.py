"""The base of all rooms: errors, files, params, signals, and how a stage runs."""

VARIANTS = ("hierarchical", "rag")  # names of the two recommenders
