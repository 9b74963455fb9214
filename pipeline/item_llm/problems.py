"""Checks that go on after one that fails."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")


class Problems:
    """What a number of checks complain about.

    Attributes:
        found: the problems, in order of the checks.
    """

    def __init__(self) -> None:
        self.found: list[StoreError] = []

    def attempt(self, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Return what a check or reader returns; None, and one problem more, where it fails."""
        try:
            return check(*args, **kwargs)
        except StoreError as problem:
            self.found.append(problem)
            return None
