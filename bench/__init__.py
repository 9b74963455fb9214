"""Measured comparisons; the library does not import them."""
