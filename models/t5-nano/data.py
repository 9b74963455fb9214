"""The labelled texts as the student reads them."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from batches import GROUPS
from label import keys, labels
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Labelled:
    """Texts with the teacher's vectors.

    Attributes:
        ids: token ids of each text, closed by </s>, cut at the training length.
        lengths: int [n], tokens of each text.
        groups: int [n], group of each text (see `batches`).
        vectors: float32 [n, 384], the teacher's.
    """

    ids: list[list[int]]
    lengths: np.ndarray
    groups: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def read(tokenizer: PreTrainedTokenizerBase, max_length: int) -> Labelled:
    """Read the texts of the corpus that have labels, and these."""
    corpus = pl.read_parquet("work/corpus.parquet")
    known = labels()
    hashes = keys(corpus["text"].to_list()).tolist()
    there = [row for row, key in enumerate(hashes) if key in known]
    corpus = corpus[there]
    ids = tokenizer(corpus["text"].to_list(), truncation=True, max_length=max_length)["input_ids"]
    return Labelled(
        ids,
        np.array([len(row) for row in ids]),
        np.array([GROUPS[kind] for kind in corpus["kind"]]),
        np.array([known[hashes[row]] for row in there], np.float32),
    )
