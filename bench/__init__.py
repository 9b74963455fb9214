"""Benchmarks; the library does not import them."""
