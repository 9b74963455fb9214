"""Search for nearest neighbours of item vectors."""
