"""Charts as numbers in pixels and percent, which the page's templates draw."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Size of a line chart and where its axes lie, in pixels."""

    width: int = 360
    height: int = 230
    left: int = 46
    right: int = 340
    top: int = 12
    bottom: int = 190


SIZE = Size()


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis: pixels in a line chart, percent in a dot plot."""

    place: float
    label: str


@dataclass(frozen=True)
class Point:
    """A point of a line, with what hovering over it says."""

    x: float
    y: float
    tip: str


@dataclass(frozen=True)
class Line:
    """A line of a chart; `kind` is the CSS class that colours it."""

    name: str
    kind: str
    points: list[Point]

    @property
    def path(self) -> str:
        """The line as an SVG path."""
        return "M" + "L".join(f"{point.x} {point.y}" for point in self.points)


@dataclass(frozen=True)
class LineChart:
    """A chart of lines over one x axis."""

    title: str
    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]


@dataclass(frozen=True)
class Mark:
    """A value in a dot plot, in percent of the width, with its interval where there is one."""

    kind: str
    place: float
    low: float | None
    high: float | None
    tip: str


@dataclass(frozen=True)
class Row:
    """A row of a dot plot: label and note on the left, marks on the axis, a text on the right."""

    label: str
    note: str
    marks: list[Mark]
    text: str


@dataclass(frozen=True)
class DotPlot:
    """Rows of values, with intervals, over one axis."""

    title: str
    ticks: list[Tick]
    rows: list[Row]


@dataclass(frozen=True)
class Value:
    """A number to be drawn in a dot plot, before it has a place."""

    kind: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """The number, with its interval where there is one."""
        if self.low is None or self.high is None:
            return f"{self.value:.4f}"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def line_chart(
    title: str,
    x_label: str,
    series: Iterable[tuple[str, str, Sequence[float], Sequence[float]]],
    x_values: Sequence[float] | None = None,
    digits: int = 4,
) -> LineChart | None:
    """Draw lines; values that are not finite are left out. None where nothing is left.

    Args:
        title: what is on the y axis.
        x_label: what is on the x axis.
        series: per line its name, its kind, x and y.
        x_values: x ticks, on a logarithmic axis; None: chosen, on a linear axis.
        digits: decimals of y in what hovering says.
    """
    kept = {
        (name, kind): [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
        for name, kind, xs, ys in series
    }
    kept = {key: points for key, points in kept.items() if points}
    if not kept:
        return None
    xs = [x for points in kept.values() for x, _ in points]
    ys = [y for points in kept.values() for _, y in points]
    scale: Callable[[float], float] = (lambda x: x) if x_values is None else math.log
    x_places = nice_ticks(min(xs), max(xs), 6) if x_values is None else list(x_values)
    y_places = nice_ticks(min(ys), max(ys), 5)
    across = _map((scale(min([*x_places, *xs])), scale(max([*x_places, *xs]))), (SIZE.left, SIZE.right))
    up = _map((y_places[0], y_places[-1]), (SIZE.bottom, SIZE.top))
    lines = [
        Line(
            name,
            kind,
            [Point(across(scale(x)), up(y), f"{name}, {x_label} {x:g}: {y:.{digits}f}") for x, y in points],
        )
        for (name, kind), points in kept.items()
    ]
    return LineChart(
        title,
        x_label,
        [Tick(across(scale(x)), f"{x:g}") for x in x_places],
        [Tick(up(y), label) for y, label in zip(y_places, tick_labels(y_places), strict=True)],
        lines,
    )


def dot_plot(title: str, rows: Sequence[tuple[str, str, Sequence[Value], str]]) -> DotPlot:
    """Draw rows of values over one axis.

    Args:
        title: what is measured.
        rows: per row its label, a note, its values, and the text on its right.
    """
    values = [value for _, _, group, _ in rows for value in group]
    ends = [end for v in values for end in (v.value, v.low, v.high) if end is not None]
    ticks = nice_ticks(min(ends), max(ends), 5)
    along = _map((ticks[0], ticks[-1]), (0, 100))

    def mark(value: Value) -> Mark:
        low, high = (None if end is None else along(end) for end in (value.low, value.high))
        return Mark(value.kind, along(value.value), low, high, f"{value.name}: {value.text}")

    return DotPlot(
        title,
        [Tick(along(tick), label) for tick, label in zip(ticks, tick_labels(ticks), strict=True)],
        [Row(label, note, [mark(value) for value in group], text) for label, note, group, text in rows],
    )


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers, evenly spaced, the first at most `low` and the last at least `high`."""
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):  # nothing between them that could be drawn
        low, high = low - abs(low) / 10 - 0.01, high + abs(high) / 10 + 0.01
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{place * step:.10g}") for place in range(first, last + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Write ticks with as many decimals as the longest of them needs."""
    decimals = max(len(f"{tick:g}".partition(".")[2]) for tick in ticks)
    return [f"{tick:.{decimals}f}" for tick in ticks]


def _map(source: tuple[float, float], target: tuple[float, float]) -> Callable[[float], float]:
    """Return the linear map of one range onto another, rounded to a tenth."""
    width = source[1] - source[0]
    factor = (target[1] - target[0]) / width if width else 0.0
    return lambda value: round(target[0] + (value - source[0]) * factor, 1)
