"""Training of the recommendation LLM."""
