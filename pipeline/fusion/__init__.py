"""Learning of the fusion."""
