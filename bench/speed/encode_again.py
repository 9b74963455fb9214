"""Encode items to a store in its own process: `python -m bench.speed.encode_again ITEMS STORE` prints JSON."""

import json
import re
import sys
import time
from pathlib import Path

import polars as pl
from hierrec.encode.encode_items import encode_items
from hierrec.params import load_params

PARAMS = Path(__file__).parents[2] / "params.yaml"


def main(items: Path, store: Path) -> None:
    """Encode; print the seconds after imports, the number of encoded texts, and whether a model was loaded."""
    table, params = pl.read_parquet(items), load_params(PARAMS).encode
    params = params.model_copy(update={"whitening_dimension": 16})
    wall, cpu = time.perf_counter(), time.process_time()
    summary = encode_items(table, params, store)
    times = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    (encoded,) = re.findall(r"([\d,]+) texts encoded", summary[0])
    loaded = "hierrec.encode.batches" in sys.modules  # it is imported with the model
    print(json.dumps({**times, "encoded": int(encoded.replace(",", "")), "model_loaded": loaded}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
