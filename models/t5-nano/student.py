"""The student: a small T5 encoder that starts from the teacher's vectors of its own pieces."""

from collections.abc import Sequence

import numpy as np
import torch
from batches import by_length
from transformers import T5Config, T5EncoderModel


def config(vocabulary: int, params: dict) -> T5Config:
    """The student's configuration; float32 when loaded by default, whatever the weights are stored in."""
    return T5Config(
        vocab_size=vocabulary,
        d_model=params["width"],
        d_kv=params["width"] // params["heads"],
        d_ff=params["feed_forward"],
        num_layers=params["layers"],
        num_heads=params["heads"],
        feed_forward_proj="relu",
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        is_encoder_decoder=False,
        use_cache=False,
        dtype="float32",
    )


def embeddings(vectors: np.ndarray, frequency: np.ndarray, spare: int, rng: np.random.Generator) -> np.ndarray:
    """Initial token embeddings (the idea of model2vec): the pieces' teacher vectors in the target space.

    The encoder's last RMS norm takes the length of a token's state away, so the weight of a token (a/(a+p),
    Arora et al. 2017) is kept in its direction: common pieces point into dimensions that the target lacks.

    Args:
        vectors: [v, width - spare], targets of the pieces; zero where a piece has no meaning of its own.
        frequency: [v], share of the running text.
        spare: dimensions appended.
        rng: for the pieces without a vector.

    Returns:
        float32 [v, width], root mean square of about 1 in each row.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    noise = rng.standard_normal(vectors.shape)
    units = np.where(
        length > 0, vectors / np.maximum(length, 1e-9), noise / np.linalg.norm(noise, axis=1, keepdims=True)
    )
    weight = np.where(length > 0, 2e-3 / (2e-3 + frequency[:, None]), 0.2)
    out = np.zeros((len(vectors), vectors.shape[1] + spare), np.float32)
    out[:, :-spare] = units * weight
    out[:, -spare:] = np.sqrt((1 - weight**2) / spare)
    return out * np.sqrt(out.shape[1], dtype=np.float32)


def build(vocabulary: int, params: dict, initial: np.ndarray) -> T5EncoderModel:
    """A new student whose layers start small: its first output is nearly the mean of its embeddings."""
    torch.manual_seed(params["seed"])
    model = T5EncoderModel(config(vocabulary, params))
    with torch.no_grad():
        model.shared.weight.copy_(torch.from_numpy(initial))
        for block in model.encoder.block:
            block.layer[0].SelfAttention.o.weight.mul_(0.1)
            block.layer[1].DenseReluDense.wo.weight.mul_(0.1)
        model.encoder.final_layer_norm.weight[-params["spare"] :] = 0.1
    return model


def pool(model: T5EncoderModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Masked mean of the last hidden states: ids, mask [b, T] to [b, width]."""
    states = model(input_ids=ids, attention_mask=mask).last_hidden_state  # [b, T, width]
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def pad(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of different lengths as (ids, mask), int64 [b, T]; 0 is the padding."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids, mask


@torch.inference_mode()
def encode(model: T5EncoderModel, rows: Sequence[Sequence[int]], batch_tokens: int = 8192) -> np.ndarray:
    """Vectors of token id rows, in batches of like length: float32 [n, width]."""
    out = np.empty((len(rows), model.config.d_model), np.float32)
    for chosen in by_length([len(row) for row in rows], batch_tokens):
        out[chosen] = pool(model, *pad([rows[row] for row in chosen])).numpy()
    return out
