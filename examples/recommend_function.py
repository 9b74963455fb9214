"""Wrap a recommender in one function from titles to titles."""

from collections.abc import Sequence
from functools import cache

from hierrec import NotFoundError, Recommender


# %% Load the model once, at the first call.
@cache
def recommender() -> Recommender:
    return Recommender.load()


def next_titles(history: Sequence[str], k: int = 5, where: str | None = None) -> list[str]:
    """Return the k likeliest next titles; skips unknown titles of the history."""
    skipped: list[NotFoundError] = []
    (items,) = recommender().recommend_many([list(history)], k, skipped=skipped, where=where)
    for error in skipped:
        print(f"skipped: {error.what}")
    return [item.title for item in items]


# %% Use it. A condition is SQL over the columns of the items.
print(next_titles(["Toy Story (1995)", "heat", "no such film"]))
print(next_titles(["Toy Story (1995)", "heat"], k=3, where="year >= 1990 AND genres LIKE '%Drama%'"))
print(next_titles([]))  # a user without history
