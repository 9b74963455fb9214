"""Retrieval: nearest items and remembered histories, found with FAISS."""
