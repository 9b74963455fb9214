"""Facts about the data and the models, and all their settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from ..model.ensemble import UserModel
from ..model.sources import Source
from ..rag.datastore import Datastore
from ..search.index import ItemIndex
from ..store.store import EmbeddingStore

Facts = dict[str, dict[str, str]]
"""Labelled values under a heading each."""


def facts(
    counts: Mapping[str, int],
    store: EmbeddingStore,
    index: ItemIndex,
    model: UserModel,
    sources: Mapping[str, Source],
    settings: Mapping[str, Any],
) -> Facts:
    """Return facts about each part of the pipeline.

    `counts` are numbers of users, items, candidates and interactions; `sources` are by name; `settings` are the
    sections `train` and `fusion` of the models' settings.
    """
    encoder, train, fusion = store.manifest, settings["train"], settings["fusion"]
    shape, members = model.members[0].backbone.config, len(model.members)
    backbone = f"{shape.model_type}, {shape.num_hidden_layers} layers of width {shape.hidden_size}"
    data = {
        "Users": f"{counts['users']:,}",
        "Items": f"{counts['items']:,}, of which {counts['candidates']:,} are ranked",
        "Interactions": f"{counts['interactions']:,}",
        "Per user, on average": f"{counts['interactions'] / counts['users']:.0f}",
    }
    item_llm = {
        "Encoder": str(encoder["model"]["id"]),
        "Reads": encoder["template"],
        "Vector": f"{encoder['dimension']} numbers, whitened to {encoder['whitened_dimension']}",
        "Index": str(index),
    }
    recommendation_llm = {
        "Backbone": f"{members} of {backbone}" if members > 1 else backbone,
        "User": f"pooling: {train['pooling']['kind']}, latest {train['history']} items",
        "Parameters": f"{_parameters(model):,}",
        **_parts(model),
    }
    retrieval = {"Sources": ", ".join(sources)}
    for source in sources.values():
        if isinstance(source, Datastore):
            retrieval["Remembered prefixes"] = f"{len(source):,}"
            retrieval["Retrieved per user"] = f"{fusion['neighbours']:,}"
    parts = (data, item_llm, recommendation_llm, retrieval)
    return dict(zip(("Data", "Item LLM", "Recommendation LLM", "Retrieval"), parts, strict=True))


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings as dotted keys and values, sorted."""
    for key, value in sorted(settings.items()):
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "–" if value is None else str(value)


def _parts(model: UserModel) -> dict[str, str]:
    """Return the number of parameters of each part, summed over the members."""
    sizes: dict[str, int] = {}
    for member in model.members:
        for name, part in member.named_children():
            sizes[name] = sizes.get(name, 0) + _parameters(part)
    return {f"… {name}": f"{size:,}" for name, size in sizes.items() if size}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
