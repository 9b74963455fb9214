"""Training of the fusion and computation of the datastore's states."""
