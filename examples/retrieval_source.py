"""Add your own retrieval source to the model: the items that most often follow the latest item of a history."""

from pathlib import Path

import numpy as np
from hierrec.evaluation.protocol import evaluate
from hierrec.model.inputs import load_inputs
from hierrec.model.load import load_scorer
from hierrec.model.scorer import Scorer
from hierrec.model.sources import Query, Retrieved
from hierrec.params import load_params
from hierrec.rag.fusion import Fusion, InitialValues
from hierrec.ranking.metrics import metrics_from_ranks

artifacts = Path("artifacts")
inputs = load_inputs(artifacts / "data", artifacts / "item_embeddings")


# %% A source has one method. It returns K items for each user, with the similarity and the age of each match.
class Followers:
    def __init__(self, k: int = 50) -> None:
        pairs = np.zeros((len(inputs.candidates),) * 2, np.float32)  # [n, n]; fine for a small catalogue
        for items in inputs.sequences.training_histories():
            np.add.at(pairs, (items[:-1], items[1:]), 1)
        self.items = np.argsort(-pairs, axis=1, kind="stable")[:, :k]  # [n, k]
        self.shares = np.take_along_axis(pairs, self.items, 1) / np.maximum(pairs.sum(1, keepdims=True), 1)

    def retrieve(self, query: Query) -> Retrieved:
        latest = np.array([history[-1] for history in query.histories])  # [B]
        ages = np.zeros(self.items.shape[1], np.float32)  # every match belongs to the latest item
        return Retrieved(self.items[latest], self.shares[latest], ages, np.repeat(latest[:, None], len(ages), 1))


# %% Fuse it with the trained model at a third of the model's weight. `stages/train_rag.py` would learn the weights.
model = load_scorer(artifacts / "models" / "hierarchical", inputs)
counts = inputs.sequences.training_counts(len(inputs.frozen))  # [n]
fusion = Fusion([InitialValues(lowest=0, highest=0, share=0.33, temperature=0.1)], counts)
sources = {"followers": Followers()}
fused = Scorer(model.model, inputs.candidates, sources, fusion, sequences=inputs.sequences)
settings = load_params(Path("params.yaml")).evaluate
for name, scorer in {"model alone": model, "with followers": fused}.items():
    known = inputs.validation_candidates
    ranks = evaluate(scorer, inputs.sequences, inputs.candidates, settings, known, perturb=False)
    found = metrics_from_ranks(ranks["validation"].drop_nulls())  # validation chooses, test is read once
    print(f"{name:15} NDCG@10 {found['ndcg@10']:.4f}  Recall@10 {found['recall@10']:.4f}")
