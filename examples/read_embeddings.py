"""The ten nearest neighbours of an item, with numpy and polars alone: read_embeddings.py FOLDER ITEM_ID."""

import sys

import numpy as np
import polars as pl

folder, item_id = sys.argv[1:]
vectors = np.load(f"{folder}/embeddings.npy", mmap_mode="r")  # float32 [n, d]
items = pl.read_parquet(f"{folder}/items.parquet")  # row, item_id, title, text, text_hash
query = vectors[items.row(by_predicate=pl.col("item_id") == item_id)[0]]
cosine = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
print(items.with_columns(cosine=pl.Series(cosine)).sort("cosine", descending=True)["title"].to_list()[1:11])
