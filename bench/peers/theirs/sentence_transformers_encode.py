"""Time the encoding of texts with sentence-transformers: TEXTS SETTINGS OUT.

The model is a transformer with mean pooling, because t5-nano has no layer after it. Each batch size is timed in turn.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Stopwatch, append  # pyright: ignore[reportMissingImports]
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

WARM = 64


def main(source: Path, settings: dict[str, Any], out: Path) -> None:
    """Encode all texts once with each batch size; write a line for each, and the vectors of the last."""
    torch.set_num_threads(settings["threads"])
    texts = json.loads((source / "texts.json").read_text("utf-8"))
    transformer = Transformer(settings["model"], max_seq_length=settings["max_length"])
    pooling = Pooling(settings["width"], pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling], device=settings["device"]).eval()
    vectors = model.encode(texts[:WARM], show_progress_bar=False)
    for batch in settings["batch_sizes"]:
        watch = Stopwatch()
        vectors = model.encode(texts, batch_size=batch, show_progress_bar=False)
        append(out, {**watch.read(), "texts": len(texts), "batch_size": batch})
    np.save(out / "vectors.npy", vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
