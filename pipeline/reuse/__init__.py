"""For other projects: encode a table of items, verify a store, export it."""
