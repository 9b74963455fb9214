"""Measure how costs grow with the catalogue: encoding, index, search, training memory."""
