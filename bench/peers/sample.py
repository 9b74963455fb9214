"""Write the embedded sample as artifacts with untrained models, for smoke tests in seconds."""

from pathlib import Path

from hierrec.core.tables import load_items
from hierrec.encode.encode_items import encode_items
from hierrec.fusion.prefixes import prefix_states
from hierrec.index.build import build_index
from hierrec.ingest.dataset import build
from hierrec.ingest.sample import sample_dataset
from hierrec.model.checkpoint import save_model
from hierrec.model.inputs import load_inputs
from hierrec.params import Params, load_params
from hierrec.rag.checkpoint import open_trends, save_rag
from hierrec.rag.datastore import Datastore
from hierrec.rag.fusion import Fusion, initial_values
from hierrec.training.start import untrained_model

ROOT = Path(__file__).parents[2]


def write_sample(folder: Path) -> None:
    """Write `data/`, `item_embeddings/`, `index/` and `models/` as the stages do, smaller."""
    params = quick_params()
    build(sample_dataset(users=120, longest=40)).write(folder / "data")
    encode_items(load_items(folder / "data" / "items.parquet"), params.encode, folder / "item_embeddings")
    inputs = load_inputs(folder / "data", folder / "item_embeddings")
    model = untrained_model(params.train, inputs.frozen, inputs.sequences)
    save_model(folder / "models" / "hierarchical", model, inputs.store_hash)
    build_index(inputs.frozen, folder / "index", inputs.store_hash)
    prefixes = prefix_states(model, inputs.sequences)
    datastore = Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, params.fusion)
    settings = params.fusion.for_data(inputs.sequences.repeated, inputs.sequences.has_clock)
    counts = inputs.sequences.training_counts(len(inputs.frozen))  # [n]
    fusion = Fusion(initial_values(settings), counts, trends=open_trends(settings, inputs))
    rag = folder / "models" / "rag"
    save_rag(rag, model, fusion, settings, datastore, inputs.store_hash)


def quick_params() -> Params:
    """Return the project's params with a small model, histories of 20 items, and few retrieved neighbours."""
    params = load_params(ROOT / "params.yaml")
    config = params.train.backbone.config | {"hidden_size": 32, "intermediate_size": 64}
    train = params.train.model_copy(
        update={
            "history": 20,
            "residual_width": 16,
            "backbone": params.train.backbone.model_copy(update={"config": config}),
            "negatives": 64,
            "epochs": 2,
            "validate_every": 1,
        }
    )
    encode = params.encode.model_copy(update={"whitening_dimension": 16})
    fusion = params.fusion.model_copy(update={"shortlist": 20, "neighbours": 10, "item_neighbours": 5})
    return params.model_copy(update={"train": train, "encode": encode, "fusion": fusion})
