"""The item LLM: from the text of each item to one vector, written to the store."""
