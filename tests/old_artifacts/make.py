"""`python -m tests.old_artifacts.make`: a tiny store, index and both models, as the present code writes them.

Run once per schema version, in the release that introduces it, with the next number as the folder. Its output is
never made again: later releases are tested on it.
"""

import json
from pathlib import Path

import numpy as np
import torch
from hierrec.index.build import build_index
from hierrec.model.checkpoint import new_model, save_model
from hierrec.model.params import BackboneParams, PoolingParams, TrainParams
from hierrec.rag.checkpoint import save_rag
from hierrec.rag.datastore import Datastore
from hierrec.rag.fusion import Fusion, initial_values
from hierrec.rag.params import FusionParams
from hierrec.store.store import EmbeddingStore

from tests.old_artifacts.readings import READINGS
from tests.store.stores import make_store

ITEMS = 12
TRAIN = TrainParams(
    seed=1,
    history=6,
    residual_width=4,
    input_dropout=0.0,
    backbone=BackboneParams(
        pretrained=None,
        revision=None,
        config={
            "model_type": "gpt2",
            "n_embd": 8,
            "n_layer": 1,
            "n_head": 2,
            "n_inner": 16,
            "n_positions": 8,
        },
    ),
    pooling=PoolingParams(kind="last", window=2),
    loss="softmax",
    negatives=1,
    epochs=1,
    batch_windows=1,
    learning_rate=1e-3,
    weight_decay=0.0,
    warmup_steps=0,
    gradient_clip=1.0,
    average=0.0,
    validate_every=1,
    patience=1,
)
FUSION = FusionParams(
    sources=("next_items", "items"),
    shortlist=8,
    overlap=0.5,
    neighbours=4,
    following=2,
    preceding=2,
    item_neighbours=2,
    recent_items=2,
    users=10,
    steps=1,
    batch_users=1,
    learning_rate=1e-3,
)


def make(folder: Path) -> None:
    """Write `store`, `index`, `hierarchical`, `rag`, and `readings.json`: the numbers read from them."""
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((ITEMS, 6)).astype(np.float32)
    make_store(folder / "store", [str(item) for item in range(ITEMS)], vectors, dimension=4)
    store = EmbeddingStore.open(folder / "store")
    build_index(store.whitened(), folder / "index", store.hash)
    model = new_model(TRAIN, store.whitened())
    with torch.no_grad():
        model.members[0].items.residual.normal_(generator=torch.Generator().manual_seed(1))
    save_model(folder / "hierarchical", model, store.hash)
    prefixes, width = 3 * ITEMS, model.width
    states, nexts = generator.standard_normal((prefixes, width)), generator.integers(ITEMS, size=prefixes)
    datastore = Datastore.of(states, nexts, np.repeat(np.arange(ITEMS), 3), FUSION)
    fusion = Fusion(initial_values(FUSION), np.ones(ITEMS, np.int64))
    save_rag(folder / "rag", model, fusion, FUSION, datastore, store.hash)
    readings = {name: read(folder) for name, read in READINGS.items()}
    (folder / "readings.json").write_text(json.dumps(readings, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(__file__).parent / "version_3")
