"""A genuine pre-trained decoder as item LLM and as recommendation LLM."""
