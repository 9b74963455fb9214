"""What grows when the input grows ten times: ingest over interactions, the index over items."""
