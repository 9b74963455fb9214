"""The page: its content, including facts about data and models, and its rendering as HTML."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from torch import nn

from ..core import VARIANTS
from ..model.ensemble import UserModel
from ..model.sources import Source
from ..rag.datastore import Datastore
from ..ranking.metrics import NAMES
from ..search.index import ItemIndex
from ..store.store import EmbeddingStore
from .charts import SIZE
from .items import SIDE, ItemMap, Neighbours
from .people import Person
from .quality import Results

SOURCES = {  # names of the parts of a fused probability for people
    "model": "the sequence model",
    "next_items": "what others chose then",
    "items": "similar items",
    "co_occurring": "items that go together",
    "history": "what was taken before",
    "trending": "what was popular then",
}

Facts = dict[str, dict[str, str]]  # for each heading, labelled values
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
    trust: Mapping[str, float] = next((one.trust for one in content.people if one.trust), {})
    return environment.get_template("page.html.j2").render(
        content=content,
        results=content.results,
        variants=VARIANTS,
        metrics=NAMES,
        sources=SOURCES,
        parts=[(f"part-{place}", SOURCES[name]) for place, name in enumerate(trust)],
        size=SIZE,
        side=SIDE,
    )


def facts(
    counts: Mapping[str, int],
    store: EmbeddingStore,
    index: ItemIndex,
    model: UserModel,
    sources: Mapping[str, Source],
) -> Facts:
    """Return facts about each part of the pipeline.

    `counts` are numbers of users, items, candidates and interactions; `sources` are by name.
    """
    encoder, train = store.manifest, model.params
    shape, members = model.members[0].backbone.config, len(model.members)
    backbone = f"{shape.model_type}, {shape.num_hidden_layers} layers of width {shape.hidden_size}"
    sizes = Counter({"Parameters": _parameters(model)})
    for member in model.members:
        sizes.update({f"… {name}": _parameters(part) for name, part in member.named_children()})
    retrieval = {"Sources": ", ".join(sources)}
    if isinstance(datastore := sources.get("next_items"), Datastore):
        retrieval["Remembered prefixes"] = f"{len(datastore):,}"
        retrieval["Retrieved per user"] = f"{datastore.lookup.neighbours:,}"
    return {
        "Data": {
            "Users": f"{counts['users']:,}",
            "Items": f"{counts['items']:,}, of which {counts['candidates']:,} are ranked",
            "Interactions": f"{counts['interactions']:,}",
            "Per user, on average": f"{counts['interactions'] / counts['users']:.0f}",
        },
        "Item LLM": {
            "Encoder": str(encoder["model"]["id"]),
            "Reads": encoder["template"],
            "Vector": f"{encoder['dimension']} numbers, whitened to {encoder['whitened_dimension']}",
            "Index": str(index),
        },
        "Recommendation LLM": {
            "Backbone": f"{members} of {backbone}" if members > 1 else backbone,
            "User": f"pooling: {train.pooling.kind}, latest {train.history} items",
            **{part: f"{size:,}" for part, size in sizes.items() if size},
        },
        "Retrieval": retrieval,
    }


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings as dotted keys and values, sorted."""
    for key, value in sorted(settings.items()):
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "–" if value is None else str(value)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
