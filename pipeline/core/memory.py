"""Settings of glibc's malloc and of the garbage collector."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Exclude the block's objects from garbage collection for good: imports make a million objects that stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def keep_freed_memory() -> None:
    """Keep freed memory for the next arrays. Without glibc this does nothing.

    By default glibc returns large arrays to the system. The system clears the pages of the next arrays, which takes a
    sixth of the time of an evaluation.
    """
    if hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(MMAP_THRESHOLD, 2**30)
        library.mallopt(TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """Return freed memory to the system. Without glibc this does nothing."""
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        gc.collect()
        library.malloc_trim(0)
