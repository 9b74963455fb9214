"""Measure costs over input size: ingest over interactions, index over items."""
