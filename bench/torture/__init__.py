"""Kill every stage with kill -9 while it runs; check that the next run gives the same artifacts."""
