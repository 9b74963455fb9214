"""Print the ten nearest neighbours of an item, with numpy and polars only: read_embeddings.py FOLDER ITEM_ID."""

# Reads the encoder's raw vectors, as `hierrec embeddings neighbours --raw` does; the models use whitened vectors.

import sys

import numpy as np
import polars as pl

folder, item_id = sys.argv[1:]
vectors = np.load(f"{folder}/embeddings.npy", mmap_mode="r", allow_pickle=False)  # float32 [n, d]
items = pl.read_parquet(f"{folder}/items.parquet")  # row, item_id, title, text, text_hash
if item_id not in items["item_id"]:
    sys.exit(f"there is no item {item_id!r} in {folder}")
unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
cosine = unit @ unit[items["item_id"].index_of(item_id)]
others = items.with_columns(cosine=pl.Series(cosine)).filter(pl.col("item_id") != item_id)
print(others.sort("cosine", descending=True)["title"].to_list()[:10])
