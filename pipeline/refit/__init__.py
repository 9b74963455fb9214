"""The rag variant fitted again on more items, after validation has chosen everything."""
