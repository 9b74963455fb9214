"""Charts: all marks lie within the axes, for any numbers."""

import math
from itertools import pairwise

import pytest
from hierrec.report.charts import SIZE, Row, Value, dot_plot, line_chart, nice_ticks, tick_labels
from hypothesis import example, given
from hypothesis import strategies as st

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(numbers, numbers)
def test_ticks_are_even_and_embrace_the_range(first: float, second: float) -> None:
    low, high = sorted((first, second))
    if high > low and high - low < 1e-6 * max(abs(low), abs(high)):
        return  # finer than anything that is drawn
    ticks = nice_ticks(low, high, 5)
    slack = 1e-6 * (ticks[-1] - ticks[0])
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 8
    steps = [after - before for before, after in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)


def test_ticks_are_round_and_have_the_same_decimals() -> None:
    ticks = nice_ticks(0.2834, 0.3133, 5)
    assert ticks == [0.28, 0.29, 0.3, 0.31, 0.32]
    assert tick_labels(ticks) == ["0.28", "0.29", "0.30", "0.31", "0.32"]
    assert tick_labels([0.0, 10.0]) == ["0", "10"]


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 10)), min_size=1, max_size=20))
@example([(0, 0.0), (0, 2.2250738585e-313)])
def test_lines_stay_within_the_axes(points: list[tuple[int, float]]) -> None:
    chart = line_chart("t", "x", {"rag": points})
    assert chart is not None
    for x, y, _ in chart.lines[0][1]:
        assert SIZE.left <= x <= SIZE.right
        assert SIZE.top <= y <= SIZE.bottom


def test_values_that_are_not_finite_are_left_out() -> None:
    chart = line_chart("t", "epoch", {"rag": [(0, math.nan), (1, 5.0), (2, 4.0)]})
    assert chart is not None
    assert [tip for _, _, tip in chart.lines[0][1]] == ["rag, epoch 1: 5.0000", "rag, epoch 2: 4.0000"]
    assert line_chart("t", "epoch", {"rag": [(0, math.nan)], "b": []}) is None


def test_a_logarithmic_axis_is_even_in_powers() -> None:
    chart = line_chart("t", "k", {"rag": [(1, 0.1), (10, 0.2), (100, 0.3)]}, x_values=(1, 10, 100))
    assert chart is not None
    first, middle, last = (x for x, _, _ in chart.lines[0][1])
    assert middle == pytest.approx((first + last) / 2, abs=0.1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 0.1))
@example([0.0], 5e-324)
def test_marks_and_intervals_stay_within_the_track(values: list[float], width: float) -> None:
    rows = [Row("row", "", [Value("rag", "rag", v, v - width, v + width)], "") for v in values]
    plot = dot_plot("t", rows)
    for row in plot.rows:
        for mark in row.values:
            assert mark.low is not None
            assert mark.high is not None
            low, place, high = map(plot.place, (mark.low, mark.value, mark.high))
            assert 0 <= low <= place <= high <= 100


def test_hovering_over_a_mark_says_the_value_and_its_interval() -> None:
    plot = dot_plot("t", [Row("row", "", [Value("rag", "rag", 0.25, 0.2, 0.3), Value("p", "HSTU", 0.1)], "")])
    assert [mark.tip for mark in plot.rows[0].values] == ["rag: 0.2500 [0.2000, 0.3000]", "HSTU: 0.1000"]
