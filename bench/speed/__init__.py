"""Measure latency, encoding and start-up."""
