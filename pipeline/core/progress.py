"""Progress of long work: a bar in a terminal, now and then a line in a log."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

EVERY = 60  # seconds between two lines of a log; work that ends sooner writes none
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed} gone, {remaining} left{postfix}\n"


def track(iterable: Iterable[Any] | None = None, *, shown: bool = True, **settings: Any) -> tqdm:
    """Return tqdm's bar over an iterable, or to be updated by hand; `settings` are tqdm's.

    Where standard error is no terminal, a line with an estimate is written every minute in place of the bar. If `shown`
    is false, nothing is written: of several processes, only the first shows progress.
    """
    if not shown or sys.stderr.isatty():
        return tqdm(iterable, disable=not shown, **settings)
    log = {"mininterval": EVERY, "maxinterval": 2 * EVERY, "delay": EVERY, "bar_format": LINE, "leave": True}
    return tqdm(iterable, **{**settings, **log})
