"""The item LLM: metadata to text, text to one frozen vector per item, vectors to a store to reuse."""
