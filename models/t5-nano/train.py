"""Stage `train`: distil the teacher into a T5 encoder.

Writes work/model/ (weights: the average of the weights over the last steps) and curve.csv: held-out figures
over time, for the reader alone. Nothing is chosen by them: the last weights of the schedule are the result.
"""

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from batches import epoch
from data import Labelled, read
from films import read_abstracts, read_films
from losses import distillation
from safetensors.torch import save_file
from settings import load_params
from similarity import overlap, pair_correlation
from student import build, embeddings, encode, pad, pool
from target import Target
from teacher import encode_cached
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5EncoderModel

OUT = Path("work/model")
WEIGHTS = {"vector": 1.0, "centred": 1.0, "pairs": 1.0, "neighbours": 0.5}


def start(tokenizer: PreTrainedTokenizerBase, data: Labelled, target: Target, params: dict) -> T5EncoderModel:
    """The student before training."""
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    meaning = ["" if piece.startswith("<") else piece.replace("▁", "") for piece in pieces]
    known = np.array([bool(text) for text in meaning])
    vectors = target(encode_cached(meaning)).astype(np.float64) * known[:, None]
    counts = np.bincount(np.concatenate(data.ids), minlength=len(pieces)).astype(np.float64)
    rng = np.random.default_rng(params["seed"])
    return build(len(pieces), params, embeddings(vectors, counts / counts.sum(), params["spare"], rng))


def optimizer(model: T5EncoderModel, params: dict) -> torch.optim.AdamW:
    """AdamW; the embeddings, which start well, have a rate of their own and no decay."""
    shared = model.shared.weight
    others = [parameter for parameter in model.parameters() if parameter is not shared]
    groups = [
        {"params": [shared], "lr": params["embedding_rate"], "weight_decay": 0.0},
        {"params": others, "lr": params["learning_rate"], "weight_decay": 0.01},
    ]
    for group in groups:
        group["peak"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)


def batches(
    load: Callable[[], Labelled], params: dict, rng: np.random.Generator
) -> Iterator[tuple[float, Labelled, np.ndarray]]:
    """Yield (epochs done, data, rows). Each epoch reads the labels there are: they may still be coming in."""
    for number in range(params["epochs"]):
        data = load()
        plan = epoch(
            data.groups,
            data.lengths,
            params["short_share"],
            params["batch_texts"],
            params["batch_tokens"],
            rng,
        )
        print(f"epoch {number + 1}: {len(data)} texts, {data.lengths.sum()} tokens", flush=True)
        for step, rows in enumerate(plan):
            yield number + step / len(plan), data, rows


def save(model: T5EncoderModel, path: Path) -> None:
    """Write the weights, the embeddings once, beside the path and rename."""
    weights = model.state_dict()
    del weights["encoder.embed_tokens.weight"]  # the same as shared.weight
    temporary = path.with_suffix(".part")
    save_file(weights, temporary, metadata={"format": "pt"})
    temporary.replace(path)


class Reporter:
    """Held-out figures over time: curve.csv, and the weights so far beside it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, inputs: dict) -> None:
        films = read_films(Path(inputs["archive"]))
        abstracts = read_abstracts(Path(inputs["abstracts"]))
        self.held_out = np.flatnonzero([film.held_out for film in films])
        short = [film.text for film in films]
        long = [abstracts[film.id] for film in films if film.held_out and film.id in abstracts][::3]
        self.theirs = encode_cached(short), encode_cached(long)
        self.ids = [tokenizer(texts, truncation=True)["input_ids"] for texts in (short, long)]
        self.curve: list[dict[str, float]] = []
        self.terms: dict[str, list[float]] = defaultdict(list)

    def __call__(self, model: T5EncoderModel, **progress: float) -> None:
        """Measure, print and save."""
        (short, long), (short_wanted, long_wanted) = [encode(model, ids) for ids in self.ids], self.theirs
        row = progress | {
            "spearman_short": pair_correlation(short[self.held_out], short_wanted[self.held_out]),
            "overlap_short": overlap(short, short_wanted, self.held_out),
            "spearman_abstract": pair_correlation(long, long_wanted),
            "overlap_abstract": overlap(long, long_wanted, np.arange(len(long))),
            **{name: float(np.mean(values)) for name, values in self.terms.items()},
        }
        self.terms.clear()
        self.curve.append({name: round(value, 4) for name, value in row.items()})
        print(self.curve[-1], flush=True)
        pl.DataFrame(self.curve, infer_schema_length=None).write_csv("curve.csv")
        save(model, OUT / "model.safetensors")


def main() -> None:
    """Train, report and save."""
    settings = load_params()
    OUT.mkdir(parents=True, exist_ok=True)
    params = settings["train"]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    torch.set_flush_denormal(True)
    tokenizer = AutoTokenizer.from_pretrained(params["tokenizer"])

    def load() -> Labelled:
        return read(tokenizer, params["max_length"])

    data = load()
    if earlier := params["start_from"]:
        model = T5EncoderModel.from_pretrained(earlier, dtype=torch.float32).eval()
        target = Target.align(data.vectors, encode(model, data.ids)[:, : params["width"] - params["spare"]])
    else:
        target = Target.fit(data.vectors, params["width"] - params["spare"])
        model = start(tokenizer, data, target, params)
    target.save(OUT / "target.npz")
    average = T5EncoderModel(model.config).eval()
    average.load_state_dict(model.state_dict())
    steps = optimizer(model, params)
    report = Reporter(tokenizer, settings["inputs"])
    report(average, minutes=0.0, step=0, epochs=0.0)

    began, reported, step, epochs = time.monotonic(), 0.0, 0, 0.0
    for epochs, data, rows in batches(load, params, np.random.default_rng(params["seed"])):
        minutes = (time.monotonic() - began) / 60
        progress = max(epochs / params["epochs"], minutes / (params["minutes"] or math.inf))
        if progress >= 1:
            break
        if minutes - reported >= params["report_minutes"]:
            reported = minutes
            report(average, minutes=minutes, step=step, epochs=epochs)
        for group in steps.param_groups:  # warm up, then half a cosine
            rise = min(1.0, progress / params["warmup"] + 1e-3)
            group["lr"] = group["peak"] * rise * (1 + math.cos(math.pi * progress)) / 2
        pooled = pool(model, *pad([data.ids[row] for row in rows]))
        terms = distillation(pooled, torch.from_numpy(target(data.vectors[rows])), params["temperature"])
        loss = sum(WEIGHTS[name] * term for name, term in terms.items())
        steps.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        steps.step()
        step += 1
        with torch.no_grad():
            for mean, parameter in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(parameter, max(1 - params["average"], 9 / (step + 9)))
        if data.groups[rows[0]] == 0:
            for name, term in terms.items():
                report.terms[name].append(term.item())
    report(average, minutes=(time.monotonic() - began) / 60, step=step, epochs=epochs)


if __name__ == "__main__":
    main()
