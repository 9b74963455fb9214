"""The recommendation LLM with its head: from a sequence of item vectors to scores of all items."""
