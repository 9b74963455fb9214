"""Item table, sequence model and projection head; retrieval fused in; training and checkpoints."""
