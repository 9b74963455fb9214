"""A T5 encoder-decoder that generates the next item's identifier token by token, with beam search.

Its weights are random: the time depends on its shape, the history and the identifiers, not on the weights. The encoder
has the shape of the item LLM, `t5-nano`; the decoder has as many layers.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain
from math import ceil

import torch
from hierrec.encode.model_files import ModelFiles
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

PAD, EOS = 0, 1


class Identifiers:
    """The tokens of items, in the history and in the answer.

    Attributes:
        vocabulary: number of tokens.
        answers: per item, the tokens of its identifier; all differ, and none is a prefix of another.
    """

    vocabulary: int
    answers: list[tuple[int, ...]]

    @abstractmethod
    def prompt(self, history: Sequence[int]) -> list[int]:
        """Return the tokens of a history."""


class Codes(Identifiers):
    """Three code tokens per item, each from its own codebook (TIGER, arXiv 2305.05065, has four per item).

    This is the leanest decoding: short identifiers of one length, a vocabulary of a few dozen tokens, and a history in
    the same codes. The codes count the items; learned codes would cost the same.
    """

    def __init__(self, items: int) -> None:
        base = ceil(round(items ** (1 / 3), 9))
        self.vocabulary = EOS + 1 + 3 * base
        self.answers = [
            tuple(EOS + 1 + level * base + item // base ** (2 - level) % base for level in range(3))
            for item in range(items)
        ]

    def prompt(self, history: Sequence[int]) -> list[int]:
        return [*chain.from_iterable(self.answers[item] for item in history), EOS]


class Texts(Identifiers):
    """Titles in the prompt and the item's number in the answer, as LLM recommenders do (P5, arXiv 2203.13366).

    Args:
        titles: of the items.
        separator: between two titles.
    """

    def __init__(self, titles: Sequence[str], separator: str = ", ") -> None:
        tokenizer = _t5_nano_tokenizer()
        # Tokenised once, not for every prompt, which is cheaper than in such recommenders.
        self._titles = _tokens(tokenizer, [title + separator for title in titles])
        self.vocabulary = len(tokenizer)
        self.answers = [(*tokens, EOS) for tokens in _tokens(tokenizer, [str(item) for item in range(len(titles))])]

    def prompt(self, history: Sequence[int]) -> list[int]:
        return [*chain.from_iterable(self._titles[item] for item in history), EOS]


class BeamSearch:
    """Generates the identifiers of the likeliest items.

    Args:
        identifiers: tokens of the items.
        beams: number of beams, and of answers per user.
        device: of the model.
    """

    def __init__(self, identifiers: Identifiers, beams: int, device: str) -> None:
        self.identifiers, self.beams, self.device = identifiers, beams, device
        self._items = {answer: item for item, answer in enumerate(identifiers.answers)}
        self._next = _continuations(identifiers.answers)
        config = T5Config.from_pretrained(
            ModelFiles.find("t5-nano").folder,
            vocab_size=identifiers.vocabulary,
            is_encoder_decoder=True,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = T5ForConditionalGeneration(config).eval().to(device)  # type: ignore[arg-type]

    @torch.inference_mode()
    def recommend(self, histories: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the `beams` best items for each history, best first: item rows, valid and all different.

        Args:
            histories: item rows, oldest first.
        """
        prompts = [torch.tensor(self.identifiers.prompt(history)) for history in histories]
        read = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True, padding_value=PAD)  # [B, T]
        written = self.model.generate(  # type: ignore[misc]
            read.to(self.device),
            attention_mask=(read != PAD).long().to(self.device),
            num_beams=self.beams,
            num_return_sequences=self.beams,
            max_new_tokens=max(map(len, self.identifiers.answers)),
            prefix_allowed_tokens_fn=self._allowed,
            do_sample=False,
            use_cache=True,
            decoder_start_token_id=PAD,
            pad_token_id=PAD,
            eos_token_id=EOS,
            early_stopping=True,  # once enough identifiers are complete
        )  # [B * beams, 1 + L]
        items = [self._items[self._identifier(row)] for row in written[:, 1:].tolist()]
        return [items[start : start + self.beams] for start in range(0, len(items), self.beams)]

    def _allowed(self, _: int, tokens: Tensor) -> list[int]:
        return self._next.get(tuple(tokens[1:].tolist()), [PAD])  # after the end of an identifier

    @staticmethod
    def _identifier(tokens: list[int]) -> tuple[int, ...]:
        return tuple(tokens[: tokens.index(EOS) + 1] if EOS in tokens else tokens)


def _continuations(answers: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], list[int]]:
    """Return the tokens that may follow each prefix of an identifier (a flat trie)."""
    following: dict[tuple[int, ...], dict[int, None]] = {}
    for answer in answers:
        for end, token in enumerate(answer):
            following.setdefault(answer[:end], {})[token] = None
    return {beginning: list(tokens) for beginning, tokens in following.items()}


def _t5_nano_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(ModelFiles.find("t5-nano").folder)


def _tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False)["input_ids"]  # type: ignore[return-value]
