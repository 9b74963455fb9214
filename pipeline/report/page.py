"""The page itself: everything that is shown, and how it becomes HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core import VARIANTS
from ..ranking.metrics import NAMES
from .charts import SIZE
from .facts import Facts
from .items import ItemMap, Neighbours
from .people import Person
from .projection import SIDE
from .quality import Results, by_slice, measured, overview, recall_chart, training

SOURCES = {"model": "the sequence model", "next_items": "what others chose then", "items": "similar items"}
"""The parts of a fused probability, as they are shown."""

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Content:
    """All that the page shows."""

    results: Results
    facts: Sequence[Facts]
    settings: Sequence[tuple[str, str]]
    map: ItemMap
    people: Sequence[Person]
    neighbours: Sequence[Neighbours]


def render(content: Content) -> str:
    """Return the page: HTML with style, script and data in it. Equal content gives equal text.

    Every text is escaped, and the page's own policy forbids the browser to load anything.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = content.results
    return environment.get_template("page.html.j2").render(
        content=content,
        results=results,
        overview=overview(results),
        slices=by_slice(results),
        curves=training(results),
        recall=recall_chart(results),
        value=lambda variant, metric: measured(results, variant, metric),
        variants=VARIANTS,
        metrics=NAMES,
        sources=SOURCES,
        size=SIZE,
        side=SIDE,
    )
