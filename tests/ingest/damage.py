"""Readers of damaged tables: they read them, or refuse them with a typed error."""

from collections import Counter
from collections.abc import Callable

from hierrec.core.errors import DataError
from hypothesis import given, settings
from hypothesis import strategies as st


def damaged(content: bytes, characters: str, data: st.DataObject) -> bytes:
    """Replace up to six bytes somewhere by up to six others, or by some of the characters."""
    start = data.draw(st.integers(0, len(content)))
    new = data.draw(st.binary(max_size=6) | st.text(characters, max_size=6).map(str.encode))
    return content[:start] + new + content[start + data.draw(st.integers(0, 6)) :]


def check_outcomes(read: Callable[[st.DataObject], object], examples: int) -> None:
    """Check that `read` reads some drawn examples, refuses many with ``DataError``, and raises nothing else."""
    outcomes = Counter[str]()

    @settings(max_examples=examples)
    @given(data=st.data())
    def attempt(data: st.DataObject) -> None:
        try:
            read(data)
            outcomes["read"] += 1
        except DataError:
            outcomes["refused"] += 1

    attempt()
    assert outcomes["refused"] > 20
    assert outcomes["read"] > 0  # about 20
