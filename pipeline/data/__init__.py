"""The tables that ingest writes, and the sequences in them."""
