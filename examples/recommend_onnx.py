"""Print the ten best next items with onnxruntime and numpy only: recommend_onnx.py FOLDER ITEM_ID..., oldest first."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

if len(sys.argv) < 3:
    sys.exit(__doc__)
folder, history = Path(sys.argv[1]), sys.argv[2:]
ids, config = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("ids", "config"))
tower, keys = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("user_tower", "item_keys"))
if unknown := [item for item in history if item not in ids]:
    sys.exit(f"no item has the id {unknown[0]!r}")
rows = np.array([ids.index(item) for item in history], np.int64)
latest = rows[-config["history"] :]
given = {"items": latest[None], "lengths": np.array([len(latest)])}  # int64 [B, T], padded on the right; [B]
(states,) = tower.run(None, given)  # float32 [B, D]
scores = np.array(keys.run(None, {"states": states, **given})[0])  # float32 [B, n]; -inf: never recommended
if not config["repeated"]:
    scores[0, rows] = -np.inf
for row in np.argsort(-scores[0], kind="stable")[:10]:
    print(f"{scores[0, row]:.4f}  {ids[row]}")
