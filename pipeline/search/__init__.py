"""Search in the index of item vectors."""
