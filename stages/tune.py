"""tune: the item LLM learns from training sequences, before its vectors are frozen."""

from hierrec.core.files import atomic_directory, write_json
from hierrec.core.sequences import Sequences
from hierrec.core.stage import DATA, MODELS, Stage, Summary
from hierrec.core.tables import interaction_groups, load_items, load_split
from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.params import EncodeParams
from hierrec.encode.template import render_fields
from hierrec.tune.params import TuneParams


@Stage
def main(tune: TuneParams, encode: EncodeParams) -> Summary:
    """Write `artifacts/models/encoder/`; without epochs it holds no model, and `encode` takes its own."""
    out = MODELS / "encoder"
    with atomic_directory(out) as folder:
        write_json(folder / "tune.json", tune.model_dump())
        if not tune.epochs:
            return ["tune: tune.epochs is 0, the item LLM stays as it is"]
        from hierrec.tune.tuner import tune as tune_encoder  # imports torch

        interactions = interaction_groups(DATA / "interactions.parquet")
        sequences = Sequences.from_tables(interactions, load_split(DATA / "split.parquet"))
        _, texts = render_fields(load_items(DATA / "items.parquet"), encode.templates)
        encoder = ItemEncoder.of(encode)
        loss = tune_encoder(encoder, texts, sequences, tune, encode.batch_tokens)
        encoder.save(folder)
    return [f"tune: {encode.model}, {tune.epochs} epochs, loss {loss:.3f}", f"written to {out}/"]


if __name__ == "__main__":
    main()
