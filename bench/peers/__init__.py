"""Compare speed and quality with other libraries."""
