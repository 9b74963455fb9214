"""The item LLM at work: texts in, one vector each out, by masked mean pooling over a pre-trained encoder."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import DataError, ModelError, NumericalError, memory_needed
from ..files import sha256_json
from .model_files import OTHERWISE, ModelFiles

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.models.t5.modeling_t5 import T5Stack

POOLING = "mean"
DTYPE = "float32"
BLOCK = 65_536
"""Texts that are tokenised at a time."""

LENGTH_STEP = 4
"""Texts are padded to multiples of this many tokens, for models other than T5."""

ARITHMETIC = 2
"""Raised with every change of a vector's last bits, so that no cache holds vectors of two kinds."""


class ItemEncoder:
    """A frozen text encoder of transformers.

    The model is loaded when the first text is encoded: its fingerprint is known without, so that a run with
    nothing to encode imports neither torch nor transformers.

    Args:
        files: the model.
        max_length: tokens of a text that are read; the rest is cut.
    """

    def __init__(self, files: ModelFiles, max_length: int) -> None:
        self.files, self.max_length = files, max_length

    @classmethod
    def load(cls, model: str, revision: str | None, max_length: int) -> "ItemEncoder":
        """Find a model by bundled name, hub id or path; see ``ModelFiles.find``."""
        return cls(ModelFiles.find(model, revision), max_length)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The model and every setting that decides what vector a text has; no paths."""
        return {
            "model": {"id": self.files.name, "revision": self.files.revision, **self.files.hashes},
            "pooling": POOLING,
            "max_length": self.max_length,
            "dtype": DTYPE,
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer, config and settings: equal fingerprints, equal vectors."""
        settings = {key: value for key, value in self.description.items() if key != "model"}
        return sha256_json({**self.files.hashes, **settings})

    def cache_key(self, batch_tokens: int) -> str:
        """Return the SHA-256 over the fingerprint and what else decides a vector's last bits."""
        libraries = [version(library) for library in ("torch", "transformers")]
        return sha256_json([self.fingerprint, ARITHMETIC, batch_tokens, *libraries])

    def encode(
        self, texts: Sequence[str], batch_tokens: int, names: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Return one vector per text, float32 [n, d]; n is at least 1. See ``batches``."""
        rows: NDArray[np.float32] | None = None
        for places, vectors in self.batches(texts, batch_tokens, names):
            if rows is None:
                rows = np.empty((len(texts), vectors.shape[1]), np.float32)
            rows[places] = vectors
        if rows is None:
            raise DataError("there are no texts to encode", "texts")
        return rows

    def batches(
        self, texts: Sequence[str], batch_tokens: int, names: Sequence[str] | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Encode texts in batches, longest first.

        A text's length alone decides the shape of its batch. Matrix products of one shape sum in one order, so that
        a text has the same vector, to the last bit on one machine, whatever it is encoded with: what comes from a
        cache equals what would be computed. T5 reads texts one after the other in a row of `batch_tokens`. For
        other models, texts of a batch have one length, rounded up, and repetitions fill a batch that is not full.

        A text that gives no token (an empty one, for some tokenizers) is read as the tokenizer's end mark
        alone, or whichever of its marks it has: every text has a vector.

        Args:
            texts: any texts.
            batch_tokens: tokens of a batch at most, padding included (a longer text is a batch of its own);
                changes speed and memory, and vectors by rounding only.
            names: what messages call the texts; None: their numbers.

        Yields:
            Places in `texts` int64 [b], and their vectors float32 [b, d].

        Raises:
            DataError: a text is not valid Unicode.
            ModelError: the model cannot be loaded, or is not a text encoder.
            NumericalError: a vector is not finite.
            OutOfMemoryError: a batch needs more memory than there is.
        """
        with tqdm(total=len(texts), desc="encode", unit="text", disable=None) as progress:
            for start in range(0, len(texts), BLOCK):
                block = texts[start : start + BLOCK]
                tokens = self._tokenise(block, start, names)
                for batch, shape in self._shape(tokens, batch_tokens):
                    with memory_needed(
                        f"memory ran out in a batch of {len(batch)} texts, {shape[0]} x {shape[1]} tokens",
                        self.files.place,
                        "lower max_length, use a smaller model, or a machine with more memory",
                    ):
                        vectors = self._forward([tokens[place] for place in batch], shape)
                    places = batch + start
                    finite = np.isfinite(vectors).all(1)
                    if not finite.all():
                        raise NumericalError(
                            "the model gives a vector that is not finite",
                            _name(int(places[~finite][0]), names),
                            "use another model, or weights that are right in float32",
                        )
                    yield places, vectors
                    progress.update(len(places))

    def _tokenise(self, texts: Sequence[str], start: int, names: Sequence[str] | None) -> list[list[int]]:
        """Return at least one token id per text."""
        check_texts(texts, start, names)
        tokens: list[list[int]] = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        if not all(tokens):
            tokens = [ids or [self._mark] for ids in tokens]
        highest = max(map(max, tokens))
        if highest >= (known := self._model.get_input_embeddings().num_embeddings):
            raise ModelError(
                f"the tokenizer gives token {highest}, the model knows {known}: they do not belong together",
                self.files.place,
                "save model and tokenizer in one folder",
            )
        return tokens

    @property
    def _mark(self) -> int:
        """The token that stands for a text without tokens."""
        for name in ("eos", "sep", "bos", "cls", "unk", "pad"):
            mark = getattr(self._tokenizer, f"{name}_token_id", None)
            if mark is not None:
                return mark
        raise ModelError("the tokenizer has no token for an empty text", self.files.place, OTHERWISE)

    def _shape(
        self, tokens: list[list[int]], batch_tokens: int
    ) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
        """Yield the places of each batch's texts and the batch's shape: rows, tokens."""
        lengths = np.array([len(ids) for ids in tokens])
        if self._t5 is not None:
            from .t5 import fill

            yield from ((places, (1, slots)) for places, slots in fill(lengths, batch_tokens))
            return
        lengths = np.minimum(-(-lengths // LENGTH_STEP) * LENGTH_STEP, self.max_length)
        for length in np.unique(lengths)[::-1].tolist():
            places = np.flatnonzero(lengths == length)
            rows = max(1, batch_tokens // length)
            for start in range(0, len(places), rows):
                yield places[start : start + rows], (rows, length)

    def _forward(self, tokens: list[list[int]], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return the mean over each text's tokens of the last hidden states, [b, d], computed in `shape`."""
        import torch

        if self._t5 is not None:
            from .t5 import means

            with torch.inference_mode():
                return means(self._t5, tokens, shape[1]).cpu().numpy()
        ids, mask = (tensor.to(self._model.device) for tensor in self._pad(tokens, shape))  # [rows, t] each
        try:
            with torch.inference_mode():
                hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state  # [rows, t, d]
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"not a text encoder: {error}", self.files.place, OTHERWISE) from error
        weights = mask.unsqueeze(-1).to(hidden.dtype)  # [rows, t, 1]
        # `where`, not a product: whatever stands at the padding, even NaN, never reaches a vector.
        hidden = torch.where(weights > 0, hidden, 0)
        vectors = hidden.sum(1) / weights.sum(1)  # [rows, d]
        return vectors[: len(tokens)].cpu().numpy()

    def _pad(self, tokens: list[list[int]], shape: tuple[int, int]) -> "tuple[Tensor, Tensor]":
        """Return ids and attention mask, int64 of `shape`, padded on the right and filled with the first text."""
        import torch

        ids = torch.full(shape, getattr(self._tokenizer, "pad_token_id", None) or 0)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(tokens + tokens[:1] * (shape[0] - len(tokens))):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        return ids, mask

    @cached_property
    def _tokenizer(self) -> Any:
        """The tokenizer; loaded on first use."""
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.files.folder, trust_remote_code=False)
        except Exception as error:  # transformers lets anything from OSError to KeyError pass
            raise ModelError(
                f"the tokenizer cannot be loaded: {error}", self.files.place, OTHERWISE
            ) from error

    @cached_property
    def _t5(self) -> "T5Stack | None":
        """The model's part that is computed without padding, if it is a T5."""
        from .t5 import text_stack

        return text_stack(self._model)

    @cached_property
    def _model(self) -> Any:
        """The encoder in float32 and evaluation mode; loaded on first use."""
        import torch
        from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
        from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING
        from transformers.utils import logging

        place = self.files.place
        bar = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            config = AutoConfig.from_pretrained(self.files.folder, trust_remote_code=False)
            auto = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
            model, report = auto.from_pretrained(
                self.files.folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except Exception as error:  # transformers lets anything from OSError to KeyError pass
            raise ModelError(f"the model cannot be loaded: {error}", place, OTHERWISE) from error
        finally:
            if bar:
                logging.enable_progress_bar()
        # A pooler's output is not used; any other weight that is missing would be random.
        random = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
        if random:
            raise ModelError(f"the weights lack {random[0]} ({len(random)} in all)", place, OTHERWISE)
        limit = getattr(config, "max_position_embeddings", None)
        if limit is not None and self.max_length > (limit := min(limit, self._tokenizer.model_max_length)):
            raise ModelError(
                f"the model reads at most {limit} tokens, not {self.max_length}",
                place,
                f"set max_length to {limit} or less",
            )
        encoder = model.get_encoder() if config.is_encoder_decoder else model
        if not isinstance(encoder.get_input_embeddings(), torch.nn.Embedding):
            raise ModelError(f"{type(model).__name__} reads no text", place, OTHERWISE)
        return encoder.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def check_texts(texts: Sequence[str], start: int, names: Sequence[str] | None) -> None:
    """Refuse what is not valid Unicode; the first of `texts` is number `start` of `names`.

    Raises:
        DataError: names the first text that is not.
    """
    for place, text in enumerate(texts, start):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(f"not a valid text: {error}", _name(place, names), "mend the text") from None


def _name(place: int, names: Sequence[str] | None) -> str:
    return f"text {place}" if names is None else names[place]
