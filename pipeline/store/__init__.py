"""The embedding store: item vectors on the disk, and their readers."""
