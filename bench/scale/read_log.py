"""Run `ingest` on a user's own tables, or load its output as training does; print the cost.

`python -m bench.scale.read_log STEP INTERACTIONS ITEMS FOLDER`, with STEP `ingest` or `load`.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from bench.scale.process import resident_peak_mb


def ingest(interactions: Path, items: Path, folder: Path) -> dict[str, Any]:
    """Read and check the two tables, write the pipeline's tables; return their hash."""
    from hierrec.ingest.dataset import build, refuse_unlearnable
    from hierrec.ingest.own_files import read_files

    dataset = build(read_files(interactions, items))
    refuse_unlearnable(dataset)
    dataset.write(folder)
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.parquet")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return {"tables_sha256": digest.hexdigest()[:16], **dataset.counts}


def load(interactions: Path, items: Path, folder: Path) -> dict[str, Any]:
    """Read the tables as training does; the first two paths are not used."""
    from hierrec.core.sequences import Sequences
    from hierrec.core.tables import interaction_groups, load_split

    sequences = Sequences.from_tables(
        interaction_groups(folder / "interactions.parquet"), load_split(folder / "split.parquet")
    )
    return {"items_sha256": hashlib.sha256(sequences.items.tobytes()).hexdigest()[:16]}


STEPS = {"ingest": ingest, "load": load}

if __name__ == "__main__":
    result = STEPS[sys.argv[1]](*map(Path, sys.argv[2:]))
    result["resident_peak_mb"] = resident_peak_mb()
    print(json.dumps(result))
