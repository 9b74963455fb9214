"""Compare item LLMs: a decoder encodes a run's items with both poolings, with and without a prompt.

    python -m bench.llm.item_llm encode --artifacts RUN/artifacts --model smollm2 --out STORES
    python -m bench.llm.item_llm train --artifacts RUN/artifacts --stores STORES

`encode` writes a store for each pooling and template. `train` trains the default model on every eighth user, with each
of these stores and with the run's own, without and with a residual. It ranks these users' validation targets. Both
write to results.json in this folder.
"""

import time
from itertools import product
from pathlib import Path
from typing import Any

import click
from hierrec.core.tables import load_items
from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.params import Pooling
from hierrec.encode.store_writer import write_store
from hierrec.encode.template import render_fields
from hierrec.model.inputs import load_inputs
from hierrec.params import load_params
from hierrec.store.whitening import Whitening

from .record import folder, record, some_users, train

TEMPLATES = {
    "no prompt": "{title} ({year}). Genres: {genres}.",
    "prompt": 'The film "{title}" ({year}), of the genres {genres}, in one word: "',
}
POOLINGS: tuple[Pooling, ...] = ("mean", "last")
RESIDUALS = {"text alone": 0, "beside a residual": 128}


@click.group()
def main() -> None:
    """Compare item LLMs."""


@main.command()
@click.option("--artifacts", type=folder, required=True)
@click.option("--model", type=folder, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--only", type=int, help="Number of items, to measure the time.")
def encode(artifacts: Path, model: Path, out: Path, only: int | None) -> None:
    """Write a store for each pooling and template to OUT."""
    items = load_items(artifacts / "data" / "items.parquet")[:only]
    params = load_params(Path("params.yaml")).encode
    (dimension,) = params.dimensions
    for (name, template), pooling in product(TEMPLATES.items(), POOLINGS):
        encoder = ItemEncoder.of(params.model_copy(update={"model": str(model), "revision": None, "pooling": pooling}))
        fields, texts = render_fields(items, [template])
        start = time.process_time()
        vectors = encoder.encode(fields[0], 1024)  # [n, D]
        seconds = time.process_time() - start
        record("encoding", f"{pooling}, {name}", {"items": len(items), "cpu_seconds": round(seconds)})
        whitening = Whitening.joined([Whitening.fit(vectors, dimension)])
        rows = items.select("item_id", "title")
        write_store(out / f"{pooling}, {name}", rows, texts, vectors, whitening, template, encoder.description, None)


@main.command("train")
@click.option("--artifacts", type=folder, required=True)
@click.option("--stores", type=folder, required=True)
@click.option("--epochs", type=int, default=2)
def train_(artifacts: Path, stores: Path, epochs: int) -> None:
    """Train with every store and print validation NDCG@10."""
    for store in [artifacts / "item_embeddings", *sorted(stores.iterdir())]:
        inputs = some_users(load_inputs(artifacts / "data", store), 8)
        for name, width in RESIDUALS.items():
            changes: dict[str, Any] = {"residual_width": width, "epochs": epochs, "validate_every": epochs}
            key = "t5-nano" if store.parent == artifacts else f"smollm2, {store.name}"
            record("item_llm", f"{key}, {name}", train(inputs, changes))


if __name__ == "__main__":
    main()
