"""One thin file per DVC stage: read params, call the library, write artifacts."""
