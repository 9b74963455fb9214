"""A page and JSON endpoints to try a model (`hierrec serve`)."""
