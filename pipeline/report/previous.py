"""A run beside a previous one: test metrics, their intervals and their change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import VARIANTS
from ..core.errors import DataError
from ..serving.artifacts import are_numbers

FILES = (*VARIANTS, "refit")
"""Files of metrics that are compared, in the order in which `changes` takes their contents."""
MARK = "<!-- previous run -->"
"""Mark of the place for a previous run. The templates escape all text, so the page has the mark only once."""


@dataclass(frozen=True)
class Change:
    """A test metric of a model, and its value in the previous run; None if that run lacks it.

    `interval` is "low to high", or "" where none is known.
    """

    model: str
    metric: str
    now: float
    interval: str
    then: float | None

    @property
    def difference(self) -> str:
        """The signed change; "" without a previous value."""
        return "" if self.then is None else f"{self.now - self.then:+.4f}"


@dataclass(frozen=True)
class Previous:
    """A previous run: its name, the changes since, and lines `key: old → new` of the changed params."""

    name: str
    changes: Sequence[Change]
    params: Sequence[str]


def changes(now: Sequence[Any], then: Sequence[Any]) -> list[Change]:
    """Return the changes of all test metrics, given the contents of `FILES` now and then.

    Raises:
        DataError: a variant has no test metrics now.
    """
    present, before = _models(*now), _models(*then)
    for variant in VARIANTS:
        if variant not in present:
            what = f"the metrics of {variant} hold no test metrics"
            raise DataError(what, remedy=f"run `dvc repro evaluate_{variant}`")
    return [
        Change(model, metric, value, interval, before.get(model, {}).get(metric, (None, ""))[0])
        for model, values in present.items()
        for metric, (value, interval) in values.items()
    ]


def with_previous(page: str, previous: Previous) -> str:
    """Return the report with a previous run beside its own; raise ``DataError`` if the page has no room for it."""
    from jinja2 import Environment, FileSystemLoader

    if MARK not in page:
        remedy = "run `dvc repro evaluate_report`, or `dvc pull`"
        raise DataError("is no report of this version", "report.html", remedy)
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    return page.replace(MARK, environment.get_template("previous.html.j2").render(previous=previous))


def values_of(metrics: Any, split: str) -> dict[str, float]:
    """Return the metrics of a split, sorted by name; none if one of them is not a number from 0 to 1."""
    found = metrics.get(split) if isinstance(metrics, dict) else None
    return {name: float(value) for name, value in sorted(found.items())} if are_numbers(found, 1) else {}


def _models(hierarchical: Any, rag: Any, refit: Any) -> dict[str, dict[str, tuple[float, str]]]:
    """Return the test metrics of each model with their intervals; models without metrics are left out."""
    again = refit if isinstance(refit, dict) else {}
    contents = {"hierarchical": hierarchical, "rag": rag}
    contents |= {f"{variant}, fitted again": again[variant] for variant in VARIANTS if variant in again}
    return {
        model: {name: (value, _interval(content, name)) for name, value in values.items()}
        for model, content in contents.items()
        if (values := values_of(content, "test"))
    }


def _interval(metrics: Mapping[str, Any], name: str) -> str:
    try:
        found = metrics["intervals"]["test"][name]
        return f"{found['low']:.4f} to {found['high']:.4f}"
    except (KeyError, TypeError, ValueError):
        return ""
