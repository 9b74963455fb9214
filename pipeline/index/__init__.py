"""Building of the index."""
