"""The item LLM: one vector per text, pooled from a pre-trained model's last hidden states."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ModelError, memory_needed
from ..core.files import sha256_json
from ..core.gpu import require_gpu
from ..core.progress import track
from .machine import machine
from .model_files import CONFIG, OTHERWISE, ModelFiles
from .params import EncodeParams

if TYPE_CHECKING:
    from .batches import PaddedBatches, T5Batches

BLOCK = 65_536  # texts tokenised at a time
ARITHMETIC = 2  # version of the computation: a change of a vector's last bits needs a new one, as caches are not mixed

Encoded = Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]
"""Batches: the texts' numbers, int64 [b], and their vectors, float32 [b, d]."""


@dataclass(eq=False)
class ItemEncoder:
    """A frozen text encoder of transformers, which reads at most `params.max_length` tokens of a text.

    A text's vector is the mean of its tokens' states, or with `pooling` `last` the state of its last token. With
    `precision` `bfloat16`, matrix products are computed in bfloat16 (autocast); weights and vectors stay float32.

    The model is loaded for the first text. A run that finds all vectors in the cache imports neither torch nor
    transformers.
    """

    files: ModelFiles
    params: EncodeParams

    @classmethod
    def of(cls, params: EncodeParams) -> Self:
        """Find the model that section `encode` names; errors: see ``ModelFiles.find``."""
        return cls(ModelFiles.find(params.model, params.revision), params)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The model and the settings that decide a text's vector, for the manifest; without paths."""
        return {
            "model": {"id": self.files.name, "revision": self.files.revision, **self.files.hashes},
            "pooling": self.params.pooling,
            "max_length": self.params.max_length,
            "dtype": self.params.precision,
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer, config and settings. Equal fingerprints mean equal vectors."""
        settings = {key: value for key, value in self.description.items() if key != "model"}
        return sha256_json({**self.files.hashes, **settings})

    def cache_key(self, batch_tokens: int) -> str:
        """Return the SHA-256 over the fingerprint and all else that decides a vector's last bits.

        Workers of Ray share it, because they use this process's number of threads.
        """
        libraries = [version(library) for library in ("torch", "transformers", "tokenizers")]
        return sha256_json([self.fingerprint, ARITHMETIC, batch_tokens, self.params.device, machine(), *libraries])

    def encode(self, texts: Sequence[str], batch_tokens: int) -> NDArray[np.float32]:
        """Return one vector per text, float32 [n, d]; n is at least 1. Arguments: see ``batches``."""
        places, vectors = zip(*self.batches(texts, batch_tokens), strict=True)
        return np.concatenate(vectors)[np.argsort(np.concatenate(places))]

    def batches(self, texts: Sequence[str], batch_tokens: int) -> Encoded:
        """Encode texts in batches, longest first.

        On one machine, a text's vector does not depend on the other texts, to the last bit: the text's length alone
        decides the shape of its batch, and matrix products of one shape sum in one order. So a vector from the cache
        equals a computed one. Models with experts are the exception: the texts of a batch share them. A text without
        tokens is encoded as the tokenizer's end mark, or another mark.

        A batch has at most `batch_tokens`, padding included; a longer text is a batch of its own. Their number changes
        speed, memory and the rounding of vectors. Raises ``OutOfMemoryError`` if a batch does not fit into memory.
        """
        with track(total=len(texts), desc="encode", unit="text") as progress:
            for start in range(0, len(texts), BLOCK):
                tokens = self.tokenise(texts[start : start + BLOCK])
                lengths = np.array([len(ids) for ids in tokens])
                from torch import autocast, bfloat16, inference_mode

                half = autocast(self.params.device, bfloat16, enabled=self.params.precision == "bfloat16")
                for batch, shape in self.batcher.plan(lengths, batch_tokens):
                    what = f"memory ran out in a batch of {len(batch)} texts, {shape[0]} x {shape[1]} tokens"
                    remedy = "lower max_length, use a smaller model, or a machine with more memory"
                    with memory_needed(what, self.files.place, remedy), inference_mode(), half:
                        vectors = self.batcher.vectors([tokens[place] for place in batch], shape)
                        vectors = vectors.float().cpu().numpy()
                    yield batch + start, vectors
                    progress.update(len(batch))

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Return at least one token id per text."""
        ids_only = {"return_attention_mask": False, "return_token_type_ids": False}
        found = self._tokenizer(list(texts), truncation=True, max_length=self.params.max_length, **ids_only)
        tokens = [ids or [self._fallback_token()] for ids in found["input_ids"]]
        highest = max(map(max, tokens))
        if highest >= (known := self.model.get_input_embeddings().num_embeddings):
            what = f"the tokenizer gives token {highest}, but the model has {known} tokens: they do not belong together"
            raise ModelError(what, self.files.place, "save model and tokenizer in one folder")
        return tokens

    def save(self, folder: Path) -> None:
        """Write the model as it is now, and its tokenizer, into a folder that `params.model` may name."""
        with _without_bars():
            self._whole.save_pretrained(folder)
        for path in self.files.tokenizer:
            shutil.copy(path, folder)
        for path in folder.glob("*.safetensors"):  # their mode allows only the owner to read them
            shutil.copymode(folder / CONFIG, path)

    def _fallback_token(self) -> int:
        """Return the token for a text without tokens."""
        for name in ("eos", "sep", "bos", "cls", "unk", "pad"):
            if (mark := getattr(self._tokenizer, f"{name}_token_id", None)) is not None:
                return mark
        raise ModelError("the tokenizer has no token for an empty text", self.files.place, OTHERWISE)

    @contextmanager
    def _loading(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # transformers lets anything from OSError to KeyError pass
            raise ModelError(f"the {what} cannot be loaded: {error}", self.files.place, OTHERWISE) from error

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        with self._loading("tokenizer"):
            return AutoTokenizer.from_pretrained(self.files.folder, trust_remote_code=False)

    @cached_property
    def batcher(self) -> "T5Batches | PaddedBatches":
        """The computation of batches that fits the model."""
        from .batches import PaddedBatches, T5Batches

        if (t5 := T5Batches.of(self.model, self.params.pooling)) is not None:
            return t5
        padding = getattr(self._tokenizer, "pad_token_id", None) or 0
        if padding >= self.model.get_input_embeddings().num_embeddings:  # added to the tokenizer alone
            padding = 0
        return PaddedBatches(self.model, self.params.pooling, padding, self.params.max_length, self.files.place)

    @cached_property
    def model(self) -> Any:
        """The encoder, float32, in evaluation mode."""
        import torch
        from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
        from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

        place = self.files.place
        if self.params.device == "cuda":
            require_gpu("device")
        with self._loading("model"), _without_bars():
            config = AutoConfig.from_pretrained(self.files.folder, trust_remote_code=False)
            auto = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
            safe = {"use_safetensors": True, "trust_remote_code": False, "output_loading_info": True}
            model, report = auto.from_pretrained(self.files.folder, config=config, dtype=torch.float32, **safe)
        # The pooler is not used; any other missing weight would be random.
        random = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
        if random:
            raise ModelError(f"the weights lack {random[0]} ({len(random)} in all)", place, OTHERWISE)
        limit = _positions(model)
        if limit is not None and self.params.max_length > (limit := min(limit, self._tokenizer.model_max_length)):
            what = f"the model reads at most {limit} tokens, not {self.params.max_length}"
            raise ModelError(what, place, f"set max_length to {limit} or less")
        self._whole = model
        encoder = model.get_encoder() if config.is_encoder_decoder else model
        if not isinstance(encoder.get_input_embeddings(), torch.nn.Embedding):
            raise ModelError(f"{type(model).__name__} does not read text", place, OTHERWISE)
        return encoder.to(self.params.device).eval()


def _positions(model: Any) -> int | None:
    """Return how many tokens the model can read; None: any number."""
    limit = getattr(model.config, "max_position_embeddings", None) or -1  # -1 in XLNet's config
    tables = [part for name, part in model.named_modules() if name.endswith("position_embeddings")]
    marks = [getattr(table, "padding_idx", None) for table in tables]  # RoBERTa's positions begin after such a mark
    unused = max((mark + 1 for mark in marks if mark is not None), default=0)
    return limit - unused if limit > 0 else None


@contextmanager
def _without_bars() -> Iterator[None]:
    """Show neither progress bars of transformers nor its warnings, such as of a pooler that is not used."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
