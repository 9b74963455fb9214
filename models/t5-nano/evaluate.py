"""Stage `evaluate`: the shipped folder against the teacher, on films that the distillation never saw.

Beside it TF-IDF, and an untrained T5 of the same shape with the same tokenizer.
"""

import os
import time
from pathlib import Path

import numpy as np
import torch
from films import read_abstracts, read_films
from settings import load_params, write_json
from similarity import overlap, pair_correlation
from sklearn.feature_extraction.text import TfidfVectorizer
from student import encode
from teacher import encode_cached
from transformers import AutoTokenizer, T5EncoderModel


def tf_idf(texts: list[str]) -> np.ndarray:
    """TF-IDF vectors of words and pairs of words, dense."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 1), token_pattern=r"(?u)\b\w+\b")
    return vectorizer.fit_transform(texts).toarray().astype(np.float32)


def compare(ours: np.ndarray, theirs: np.ndarray, held_out: np.ndarray) -> dict[str, float]:
    """Figures of one encoder on one kind of text; `held_out` are rows."""
    return {
        "spearman_held_out": pair_correlation(ours[held_out], theirs[held_out]),
        "spearman_all": pair_correlation(ours, theirs),
        "overlap10_held_out_among_all": overlap(ours, theirs, held_out),
        "overlap10_held_out_among_held_out": overlap(ours[held_out], theirs[held_out], np.arange(len(held_out))),
        "overlap10_all": overlap(ours, theirs, np.arange(len(ours))),
    }


def main() -> None:
    """Write metrics.json."""
    settings = load_params()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    folder = settings["shipped"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = T5EncoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    torch.manual_seed(settings["train"]["seed"])
    untrained = T5EncoderModel(model.config).eval()

    films = read_films(Path(settings["inputs"]["archive"]))
    abstracts = read_abstracts(Path(settings["inputs"]["abstracts"]))
    described = [film for film in films if film.id in abstracts]
    sets = {
        "short": (films, [film.text for film in films]),
        "abstract": (described, [abstracts[film.id] for film in described]),
    }
    metrics: dict = {"films": len(films), "films_held_out": sum(film.held_out for film in films)}
    for name, (rows, texts) in sets.items():
        held_out = np.flatnonzero([film.held_out for film in rows])
        theirs = encode_cached(texts)
        began = time.monotonic()
        ids = tokenizer(texts, truncation=True, max_length=settings["tokenizer"]["max_length"])["input_ids"]
        ours = encode(model, ids)
        print(f"{name}: {len(texts)} texts in {time.monotonic() - began:.1f} s", flush=True)
        metrics[name] = {
            "t5_nano": compare(ours, theirs, held_out),
            "tf_idf": compare(tf_idf(texts), theirs, held_out),
            "untrained": compare(encode(untrained, ids), theirs, held_out),
        }
        for encoder, figures in metrics[name].items():
            print(f"  {encoder:9}", {key: round(value, 3) for key, value in figures.items()}, flush=True)
    write_json(Path("metrics.json"), metrics)


if __name__ == "__main__":
    main()
