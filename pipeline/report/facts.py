"""What was run: the data, the models and their sizes, every setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..model.ensemble import UserModel
from ..model.sources import Source
from ..rag.datastore import Datastore
from ..search.index import ItemIndex
from ..store.store import EmbeddingStore


@dataclass(frozen=True)
class Facts:
    """A heading with labelled values."""

    title: str
    values: list[tuple[str, str]]


def facts(
    counts: Mapping[str, int],
    store: EmbeddingStore,
    index: ItemIndex,
    model: UserModel,
    sources: Mapping[str, Source],
    settings: Mapping[str, Any],
) -> list[Facts]:
    """Sum up each part of the pipeline.

    Args:
        counts: of the data.
        store: item vectors.
        index: over them.
        model: the trained one.
        sources: of retrieval, by name.
        settings: `train` and `fusion`, as the models were made with.
    """
    encoder, train, fusion = store.manifest, settings["train"], settings["fusion"]
    shape, members = model.members[0].backbone.config, len(model.members)
    return [
        Facts(
            "Data",
            [
                ("Users", f"{counts['users']:,}"),
                ("Items", f"{counts['items']:,}, of which {counts['candidates']:,} are ranked"),
                ("Interactions", f"{counts['interactions']:,}"),
                ("Per user, on average", f"{counts['interactions'] / counts['users']:.0f}"),
            ],
        ),
        Facts(
            "Item LLM",
            [
                ("Encoder", str(encoder["model"]["id"])),
                ("Reads", encoder["template"]),
                ("Vector", f"{encoder['dimension']} numbers, whitened to {encoder['whitened_dimension']}"),
                ("Index", str(index)),
            ],
        ),
        Facts(
            "Recommendation LLM",
            [
                (
                    "Backbone",
                    (f"{members} of " if members > 1 else "")
                    + f"{shape.model_type}, {shape.num_hidden_layers} layers of width {shape.hidden_size}",
                ),
                ("User", f"pooling: {train['pooling']['kind']}, latest {train['history']} items"),
                ("Parameters", f"{_parameters(model):,}"),
                *_parts(model),
            ],
        ),
        Facts(
            "Retrieval",
            [
                ("Sources", ", ".join(sources)),
                *(
                    fact
                    for one in sources.values()
                    if isinstance(one, Datastore)
                    for fact in (
                        ("Remembered prefixes", f"{len(one):,}"),
                        ("Retrieved per user", f"{fusion['neighbours']:,}"),
                    )
                ),
            ],
        ),
    ]


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings as dotted keys with values, sorted."""
    for key, value in sorted(settings.items()):
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        else:
            yield name, "–" if value is None else str(value)


def _parts(model: UserModel) -> list[tuple[str, str]]:
    parts = [part for member in model.members for part in member.named_children()]
    sizes = {name: sum(_parameters(part) for other, part in parts if other == name) for name, _ in parts}
    return [(f"… {name}", f"{size:,}") for name, size in sizes.items() if size]


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
