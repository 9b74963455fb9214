"""Stage `tokenizer`: a Unigram tokenizer trained on the corpus, saved for plain `AutoTokenizer`.

The trainer of `tokenizers` drops a word wherever two pieces express it cheaply ("comed" + "y"), which costs a
small encoder much of its meaning. So the frequent words are pieces by right, and the trainer makes pieces of
the others.
"""

import json
import math
import re
import string
from collections import Counter
from pathlib import Path

import polars as pl
from settings import load_params
from teacher import vocabulary
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIALS = ("<pad>", "</s>", "<unk>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
YEARS = tuple(str(year) for year in range(1900, 2030))
RESIDUE_SHARE = 0.1  # of a running text, about: words that are no pieces
PASSAGE_WEIGHT = {"film": 0.2, "phrase": 0.5, "gloss": 0.3, "passage": 0.5, "abstract": 2.0}


def base() -> Tokenizer:
    """An empty Unigram tokenizer: small letters without accents, as the teacher reads; punctuation apart."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(Regex(r"▁?[^\w\s▁]+"), "isolated")]
    )
    return tokenizer


def count(tokenizer: Tokenizer, corpus: pl.DataFrame) -> Counter[str]:
    """Weighted counts of pre-tokens ("▁word", "▁(") in the corpus and in the teacher's vocabulary."""
    counts: Counter[str] = Counter()
    for kind, text in corpus.iter_rows():
        for token, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts[token] += PASSAGE_WEIGHT[kind]
    words = [word for word in vocabulary() if re.fullmatch(r"[a-z]{2,}", word)]
    for rank, word in enumerate(words, start=1):  # Zipf's law
        counts["▁" + word] += 4e5 / (rank + 50)
    return counts


def train(corpus: pl.DataFrame, pieces: int, learned: int) -> Tokenizer:
    """Train a Unigram tokenizer (Kudo 2018) with byte fallback.

    Args:
        corpus: columns kind and text.
        pieces: size of the vocabulary: specials, bytes, years, punctuation, learned pieces, words.
        learned: pieces that the trainer makes of the words that are no pieces themselves.
    """
    tokenizer = base()
    counts = count(tokenizer, corpus)
    total = sum(counts.values())
    marks = [mark for mark, _ in counts.most_common() if re.fullmatch(r"▁?[!-/:-@\[-`{-~]+", mark)]
    fixed = dict.fromkeys([*string.punctuation, "▁", *marks[:80], *YEARS, *("▁" + year for year in YEARS)])
    room = pieces - len(SPECIALS) - len(BYTES) - len(fixed) - learned
    wordlike = [word for word, _ in counts.most_common() if re.fullmatch(r"▁?[a-z]{2,}|▁[a-z0-9]", word)]
    words, residue = wordlike[:room], wordlike[room:]
    scores = {piece: math.log(max(counts[piece], 1.0) / total) for piece in (*fixed, *words)}

    trainer = trainers.UnigramTrainer(
        vocab_size=learned, unk_token="<unk>", special_tokens=["<unk>"], max_piece_length=12
    )
    small = Tokenizer(models.Unigram())
    letters = [f"{letter}{letter}" for letter in string.ascii_lowercase + string.digits]
    small.train_from_iterator(
        [word for word in residue for _ in range(round(counts[word]) or 1)] + letters * 20, trainer
    )
    for piece, score in json.loads(small.to_str())["model"]["vocab"]:
        if piece != "<unk>":
            scores.setdefault(piece, score + math.log(RESIDUE_SHARE))
    for word in residue:  # some learned pieces were words already: fill up
        if len(scores) >= pieces - len(SPECIALS) - len(BYTES):
            break
        scores.setdefault(word, math.log(max(counts[word], 1.0) / total))

    lowest = min(scores.values()) - 1.0
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    vocab = [(special, 0.0) for special in SPECIALS] + ranked + [(byte, lowest) for byte in BYTES]
    tokenizer.model = models.Unigram([(p, round(s, 3)) for p, s in vocab], unk_id=2, byte_fallback=True)
    tokenizer.post_processor = processors.TemplateProcessing(  # </s>: the empty text has a token too
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def main() -> None:
    """Write work/tokenizer/."""
    params = load_params()["tokenizer"]
    tokenizer = train(pl.read_parquet("work/corpus.parquet"), params["pieces"], params["learned_pieces"])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=params["max_length"],
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
    folder = Path("work/tokenizer")
    wrapped.save_pretrained(folder)
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8")
    print(len(wrapped), {path.name: path.stat().st_size for path in folder.iterdir()})


if __name__ == "__main__":
    main()
