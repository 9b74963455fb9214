"""Compare recommendation LLMs: the default, the decoder's shape from scratch, and the pre-trained decoder.

    python -m bench.llm.recommender --artifacts RUN/artifacts --model smollm2 --name ml-1m

Each trains on the latest training items of the same users, for the same CPU seconds, and ranks their validation targets
after every epoch. results.json in this folder stores the results, with each validation (epoch, NDCG@10, CPU seconds).
"""

from pathlib import Path
from typing import Any

import click
from hierrec.model.inputs import load_inputs

from .record import folder, record, some_users, train

RATE = 1e-4
"""Learning rate of full training of the pre-trained weights."""
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
@click.option("--name", required=True, help="Name of the data set.")
@click.option("--seconds", type=float, default=80, help="CPU seconds per variant; its last epoch is finished.")
@click.option("--step", type=int, default=30, help="Use every STEP-th user.")
@click.option("--history", type=int, default=20, help="Number of latest items per user.")
@click.option("--only", multiple=True, help="Variants; all by default.")
def main(
    artifacts: Path, model: Path, name: str, seconds: float, step: int, history: int, only: tuple[str, ...]
) -> None:
    """Train and record each variant."""
    inputs = some_users(load_inputs(artifacts / "data", artifacts / "item_embeddings"), step, history)
    pretrained = {"pretrained": str(model), "revision": None, "config": {}}
    variants: dict[str, dict[str, Any]] = {
        "default": {},
        "frozen": {"backbone": {**pretrained, "tuning": "frozen"}},
        "lora": {"backbone": {**pretrained, "tuning": "lora"}},
        "full": {"backbone": {**pretrained, "learning_rate": RATE}},
        "from scratch": {"backbone": {"pretrained": None, "revision": None, "config": SHAPE}},
    }
    common = {
        "history": history,
        "batch_positions": 8 * history,
        "warmup_steps": 10,
        "epochs": 1000,
        "validate_every": 1,
        "patience": 20,
    }
    for variant in only or variants:
        result = train(inputs, {**common, **variants[variant]}, seconds)
        said = {"users": inputs.sequences.user_count, "history": history, **result}
        record(f"recommender, {name}", variant, said)


if __name__ == "__main__":
    main()
