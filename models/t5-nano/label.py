"""Stage `label`: the teacher's vector of each text, in files that survive an interruption."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from settings import load_params
from teacher import encode
from tqdm import tqdm

FOLDER = Path("work/labels")


def keys(texts: Sequence[str]) -> np.ndarray:
    """A hash of each text: uint64 [n]."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.uint64)


def labels() -> dict[int, np.ndarray]:
    """The vectors that there are, float16 [384] each, by the text's key."""
    known: dict[int, np.ndarray] = {}
    for path in sorted(FOLDER.glob("*.npz")):
        with np.load(path) as file:
            known.update(zip(file["keys"].tolist(), file["vectors"], strict=True))
    return known


def label(texts: Sequence[str], chunk: int) -> None:
    """Label the texts that have no vector yet, `chunk` texts a file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = labels()
    missing = [text for text, key in zip(texts, keys(texts).tolist(), strict=True) if key not in known]
    for start in tqdm(range(0, len(missing), chunk), unit="chunk", disable=None):
        part = missing[start : start + chunk]
        hashes = keys(part)
        temporary = FOLDER / "next.part"
        with temporary.open("wb") as file:
            np.savez(file, keys=hashes, vectors=encode(part).astype(np.float16))
        temporary.replace(FOLDER / f"{hashes[0]:016x}.npz")


def main() -> None:
    """Write work/labels/."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    label(pl.read_parquet("work/corpus.parquet")["text"].to_list(), load_params()["label"]["chunk"])


if __name__ == "__main__":
    main()
