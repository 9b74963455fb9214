"""Recommendations for people: the API behind the command line."""
