"""Data sets: their readers, and the tables that later stages read."""
