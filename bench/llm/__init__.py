"""Measure a pre-trained decoder as item LLM and as recommendation LLM."""
