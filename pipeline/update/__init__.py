"""Living memory: further interactions, users and items join what serving reads, without training."""
