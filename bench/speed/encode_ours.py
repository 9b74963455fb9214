"""Time our item encoder.

`python -m bench.speed.encode_ours TEXTS SETTINGS OUT`, with the arguments of the peers' scripts.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hierrec.encode.encoder import ItemEncoder
from hierrec.params import load_params

from bench.peers.theirs.record import Stopwatch, append

WARM = 64


def main(source: Path, settings: dict[str, Any], out: Path) -> None:
    """Encode all texts once; write a line, and the vectors."""
    torch.set_num_threads(settings["threads"])
    texts = json.loads((source / "texts.json").read_text("utf-8"))
    changed = {key: settings[key] for key in ("model", "max_length", "precision")}
    encoder = ItemEncoder.of(load_params(Path("params.yaml")).encode.model_copy(update=changed))
    encoder.encode(texts[:WARM], settings["batch_tokens"])  # loads the model
    watch = Stopwatch()
    vectors = encoder.encode(texts, settings["batch_tokens"])
    append(out, {**watch.read(), "texts": len(texts)})
    np.save(out / "vectors.npy", vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
