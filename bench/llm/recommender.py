"""Recommendation LLMs compared: the default, the decoder's shape from scratch, and the pre-trained decoder.

    python -m bench.llm.recommender --artifacts RUN/artifacts --model smollm2 --epochs 2

All read the latest 50 training items of the same users, and rank their validation targets. The default also trains for
as many CPU seconds as the dearest of the others. The results go to results.json in this folder.
"""

from pathlib import Path
from typing import Any

import click
from hierrec.model.inputs import load_inputs

from .record import folder, record, some_users, train

HISTORY = 50
RATE = 1e-4
"""Of weights that are trained in full."""
SHAPE = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
}


@click.command()
@click.option("--artifacts", type=folder, required=True)
@click.option("--model", type=folder, required=True)
@click.option("--epochs", type=int, required=True)
@click.option("--step", type=int, default=20, help="Every STEP-th user is kept.")
@click.option("--name", default="ml-1m", help="Of the data set.")
@click.option("--only", multiple=True, help="Variants that are run.")
def main(artifacts: Path, model: Path, epochs: int, step: int, name: str, only: tuple[str, ...]) -> None:
    """Train and compare."""
    inputs = some_users(load_inputs(artifacts / "data", artifacts / "item_embeddings"), step, HISTORY)
    pretrained = {"pretrained": str(model), "revision": None, "config": {}}
    variants: dict[str, dict[str, Any]] = {
        "default": {},
        "frozen": {"backbone": {**pretrained, "tuning": "frozen"}},
        "lora": {"backbone": {**pretrained, "tuning": "lora"}},
        "full": {"backbone": {**pretrained, "learning_rate": RATE}},
        "from scratch": {"backbone": {"pretrained": None, "revision": None, "config": SHAPE}},
    }
    common = {"history": HISTORY, "validate_every": 1, "warmup_steps": 10}
    dearest = 0
    for variant in only or variants:
        result = train(inputs, {**common, **variants[variant], "epochs": epochs})
        dearest = max(dearest, result["cpu_seconds"])
        record(f"recommender, {name}", variant, {"users": inputs.sequences.user_count, **result})
    if not only:
        same_time = train(inputs, {**common, "epochs": 1000, "patience": 1000}, dearest)
        record(f"recommender, {name}", "default, same time", same_time)


if __name__ == "__main__":
    main()
