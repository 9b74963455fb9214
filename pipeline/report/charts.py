"""Charts as numbers, in pixels and percent. The templates draw them."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import NamedTuple

# Size of a line chart and the ends of its axes, in pixels.
SIZE = SimpleNamespace(width=360, height=230, left=46, right=340, top=12, bottom=190)
Ticks = list[tuple[float, str]]  # places and labels on an axis: pixels in a line chart, percent in a dot plot


class LineChart(NamedTuple):
    """Lines over one x axis."""

    title: str
    x_label: str
    x_ticks: Ticks
    y_ticks: Ticks
    lines: list[tuple[str, list[tuple[float, float, str]]]]  # CSS class; x, y and tooltip of its points


class Value(NamedTuple):
    """A value in a dot plot, and its interval if it has one. `kind` is the CSS class of its colour."""

    kind: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def tip(self) -> str:
        """Its tooltip."""
        interval = "" if self.low is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.name}: {self.value:.4f}{interval}"


class Row(NamedTuple):
    """A row of a dot plot: label and note on the left, values on the axis, text on the right."""

    label: str
    note: str
    values: list[Value]
    text: str


class DotPlot(NamedTuple):
    """Rows of values over one axis."""

    title: str
    ticks: Ticks
    rows: Sequence[Row]
    place: Callable[[float], float]  # returns the place of a value on the axis, in percent of the width


def line_chart(
    title: str,
    x_label: str,
    points: Mapping[str, Sequence[tuple[float, float]]],
    x_values: Sequence[float] | None = None,
) -> LineChart | None:
    """Return a chart of the finite values; None if there are none.

    `title` names the y axis. `points` are x and y values by the line's name, which is also its CSS class. `x_values`
    are the x ticks of a logarithmic axis; None: a linear axis, whose ticks are chosen.
    """
    finite = {name: [(x, y) for x, y in values if math.isfinite(y)] for name, values in points.items()}
    if not any(finite.values()):
        return None
    xs, ys = zip(*chain(*finite.values()), strict=True)
    scale: Callable[[float], float] = float if x_values is None else math.log
    x_places = x_values or nice_ticks(min(xs), max(xs), 6)
    y_places = nice_ticks(min(ys), max(ys), 5)
    across = _map(scale(min(*x_places, *xs)), scale(max(*x_places, *xs)), SIZE.left, SIZE.right)
    up = _map(y_places[0], y_places[-1], SIZE.bottom, SIZE.top)
    lines = [
        (name, [(across(scale(x)), up(y), f"{name}, {x_label} {x:g}: {y:.4f}") for x, y in values])
        for name, values in finite.items()
        if values
    ]
    x_ticks = [(across(scale(x)), f"{x:g}") for x in x_places]
    return LineChart(title, x_label, x_ticks, _ticks(y_places, up), lines)


def dot_plot(title: str, rows: Sequence[Row]) -> DotPlot:
    """Return a dot plot; all values and intervals lie within the axis."""
    values = [value for row in rows for value in row.values]
    ends = [end for v in values for end in (v.value, v.low, v.high) if end is not None]
    ticks = nice_ticks(min(ends), max(ends), 5)
    along = _map(ticks[0], ticks[-1], 0, 100)
    return DotPlot(title, _ticks(ticks, along), rows, along)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers, evenly spaced, the first at most `low` and the last at least `high`."""
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):  # too close to tell apart in a chart
        low, high = low - abs(low) / 10 - 0.01, high + abs(high) / 10 + 0.01
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{place * step:.10g}") for place in range(first, last + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Return the ticks as text, all with the decimals that the longest needs."""
    decimals = max(len(f"{tick:g}".partition(".")[2]) for tick in ticks)
    return [f"{tick:.{decimals}f}" for tick in ticks]


def _ticks(values: Sequence[float], place: Callable[[float], float]) -> Ticks:
    return list(zip(map(place, values), tick_labels(values), strict=True))


def _map(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the linear map from [low, high] to [start, end], rounded to a tenth."""
    factor = (end - start) / (high - low) if high > low else 0.0
    return lambda value: round(start + (value - low) * factor, 1)
