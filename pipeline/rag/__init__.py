"""Retrieval-augmented recommendation: the datastore, the sources, and their fusion with the model."""
