"""A run beside a previous one: test metrics, their intervals and their change."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..core import VARIANTS
from ..core.errors import DataError
from ..serving.artifacts import are_numbers

FILES = (*VARIANTS, "refit")  # files of metrics, in the order in which `changes` takes their contents
MARK = "<!-- previous run -->"  # place for a previous run; the page has it once, as the templates escape all text


class Change(NamedTuple):
    """A test metric of a model, its interval ("low to high", or ""), and its value in the previous run, or None."""

    model: str
    metric: str
    now: float
    interval: str
    then: float | None

    @property
    def difference(self) -> str:
        """The signed change; "" without a previous value."""
        return "" if self.then is None else f"{self.now - self.then:+.4f}"


class Previous(NamedTuple):
    """A previous run: its name, the changes since, and lines `key: old → new` of the changed params."""

    name: str
    changes: Sequence[Change]
    params: Sequence[str]


def changes(now: Sequence[Any], then: Sequence[Any]) -> list[Change]:
    """Return the changes of all test metrics, given the contents of `FILES` now and then.

    Raises ``DataError`` if a variant has no test metrics now.
    """
    before = _models(*then)
    found = []
    for model, content in _models(*now).items():
        values, previous = values_of(content, "test"), values_of(before.get(model), "test")
        if model in VARIANTS and not values:
            raise DataError(f"the metrics of {model} hold no test metrics", remedy=f"run `dvc repro evaluate_{model}`")
        for metric, value in values.items():
            found.append(Change(model, metric, value, _interval(content, metric), previous.get(metric)))
    return found


def with_previous(page: str, previous: Previous) -> str:
    """Return the report with a previous run beside its own; raise ``DataError`` if the page has no room for it."""
    from jinja2 import Environment, FileSystemLoader

    if MARK not in page:
        raise DataError("is no report of this version", "report.html", "run `dvc repro evaluate_report`, or `dvc pull`")
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    return page.replace(MARK, environment.get_template("previous.html.j2").render(previous=previous))


def values_of(metrics: Any, split: str) -> dict[str, float]:
    """Return the metrics of a split, sorted by name; none if one of them is not a number from 0 to 1."""
    found = metrics.get(split) if isinstance(metrics, dict) else None
    return {name: float(value) for name, value in sorted(found.items())} if are_numbers(found, 1) else {}


def _models(hierarchical: Any, rag: Any, refit: Any) -> dict[str, Any]:
    again = refit if isinstance(refit, dict) else {}
    fitted_again = {f"{variant}, fitted again": again[variant] for variant in VARIANTS if variant in again}
    return {"hierarchical": hierarchical, "rag": rag, **fitted_again}


def _interval(metrics: Mapping[str, Any], name: str) -> str:
    try:
        found = metrics["intervals"]["test"][name]
        return f"{found['low']:.4f} to {found['high']:.4f}"
    except (KeyError, TypeError, ValueError):
        return ""
