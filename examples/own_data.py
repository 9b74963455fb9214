"""A table of your own before any training, what it is like and what counting reaches: own_data.py EVENTS.csv."""

import sys
from pathlib import Path

from hierrec.data.sequences import Sequences
from hierrec.data.tables import candidates_of
from hierrec.evaluation.baselines import baselines
from hierrec.evaluation.protocol import evaluate
from hierrec.ingest.dataset import build
from hierrec.ingest.look import look
from hierrec.ingest.own_files import read_files
from hierrec.params import load_params
from hierrec.ranking.metrics import metrics_from_ranks

# %% Read it as the stage `ingest` does: usual names of columns, every format, one error that names the line.
params = load_params(Path("params.yaml"))
raw = read_files([Path(sys.argv[1])], None, params.ingest)
dataset = build(raw, params.ingest.candidates, params.ingest.repeats)
print(*look(dataset), sep="\n")

# %% Rank each user's last item by models that count: below the best of them, a trained model is of no use.
sequences = Sequences.from_tables([dataset.interactions], dataset.split)
candidates, known = candidates_of(dataset.items)
for name, scorer in baselines(sequences, len(candidates)).items():
    ranks = evaluate(scorer, sequences, candidates, params.evaluate, 1, known, perturb=False)
    found = metrics_from_ranks(ranks["test"].drop_nulls())
    print(f"{name:12} NDCG@10 {found['ndcg@10']:.4f}  Recall@10 {found['recall@10']:.4f}")
