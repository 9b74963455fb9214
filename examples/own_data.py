"""Describe a table of interactions and measure the baselines on it: own_data.py EVENTS [user=Listener …].

EVENTS is a file, a folder or a pattern. The arguments after it name its columns. Other params are those of
params.yaml.
"""

import sys
from pathlib import Path

from hierrec.core.errors import HierrecError
from hierrec.core.files import cache_dir
from hierrec.core.sequences import Sequences
from hierrec.core.tables import candidates_of
from hierrec.evaluation.baselines import baselines
from hierrec.evaluation.protocol import evaluate
from hierrec.ingest.dataset import build
from hierrec.ingest.download import fetch_parts
from hierrec.ingest.look import look
from hierrec.ingest.own_files import read_files
from hierrec.params import load_params
from hierrec.ranking.metrics import metrics_from_ranks

if not sys.argv[1:] or sys.argv[1].startswith("-"):
    sys.exit(__doc__)

# %% Read the table as the stage `ingest` does: usual column names, all formats, errors that name the line.
try:
    params = load_params(Path("params.yaml"))
    named = {"columns": dict(pair.split("=", 1) for pair in sys.argv[2:])} if sys.argv[2:] else {}
    ingest = params.ingest.model_copy(update=named)
    paths = fetch_parts(sys.argv[1], None, cache_dir("downloads"), "interactions")
    dataset = build(read_files(paths, None, ingest), ingest.candidates, ingest.repeats)
except HierrecError as error:
    sys.exit(f"error: {error}")
print(*look(dataset), sep="\n")

# %% Rank each user's last item with the baselines. A useful trained model is better than the best baseline.
sequences = Sequences.from_tables([dataset.interactions], dataset.split)
candidates, known = candidates_of(dataset.items)
for name, scorer in baselines(sequences, len(candidates)).items():
    ranks = evaluate(scorer, sequences, candidates, params.evaluate, known, perturb=False)
    found = metrics_from_ranks(ranks["test"].drop_nulls())
    print(f"{name:12} NDCG@10 {found['ndcg@10']:.4f}  Recall@10 {found['recall@10']:.4f}")
