"""The page: its content, and how the templates turn it into HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core import VARIANTS
from ..ranking.metrics import NAMES
from .charts import SIZE
from .facts import Facts
from .items import SIDE, ItemMap, Neighbours
from .people import Person
from .quality import Results, by_slice, measured, overview, recall_chart, table, training

SOURCES = {
    "model": "the sequence model",
    "next_items": "what others chose then",
    "items": "similar items",
    "co_occurring": "items that go together",
    "history": "what was taken before",
}
"""Names of the parts of a fused probability for people."""

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Content:
    """The content of the page."""

    results: Results
    facts: Facts
    settings: Sequence[tuple[str, str]]
    map: ItemMap
    people: Sequence[Person]
    neighbours: Sequence[Neighbours]


def render(content: Content) -> str:
    """Return the page: HTML that includes its style, script and data. Equal content gives equal text.

    All text is escaped. The page's security policy forbids the browser to load anything.
    """
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    results = content.results
    trust: Mapping[str, float] = next((one.trust for one in content.people if one.trust), {})
    return environment.get_template("page.html.j2").render(
        content=content,
        results=results,
        overview=overview(results),
        slices=by_slice(results),
        curves=training(results),
        recall=recall_chart(results),
        value=partial(measured, results),
        table=partial(table, results),
        variants=VARIANTS,
        metrics=NAMES,
        sources=SOURCES,
        parts=[(f"part-{place}", SOURCES[name]) for place, name in enumerate(trust)],
        size=SIZE,
        side=SIDE,
    )
