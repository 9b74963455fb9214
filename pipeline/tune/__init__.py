"""The item LLM learns from training sequences, before its vectors are frozen."""
