"""A small world with real parts for the report: odd titles, an untrained model, made-up results."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from hierrec.core.sequences import Sequences
from hierrec.encode.store_writer import write_store
from hierrec.fusion.prefixes import prefix_states
from hierrec.index.build import build_index
from hierrec.model.checkpoint import new_model
from hierrec.model.scorer import Scorer
from hierrec.params import load_params
from hierrec.rag.datastore import Datastore, Lookup
from hierrec.rag.fusion import Fusion, initial_values
from hierrec.rag.similar_items import CoOccurringItems, SimilarItems
from hierrec.report.items import Items, item_map, neighbours
from hierrec.report.page import Content, facts, flat
from hierrec.report.people import people
from hierrec.report.quality import Results
from hierrec.serving.catalogue import Catalogue
from hierrec.store.store import EmbeddingStore
from hierrec.store.whitening import Whitening

from tests.model.world import make_sequences

ROOT = Path(__file__).parents[2]
ITEMS, HISTORY = 30, 10
ODD = ["<script>alert('title')</script>", "Quotes \" and ' & <b>more</b>", "</script><!--", "", "Ünïcödé 愛"]
GENRES = [["Drama"], ["Comedy", "Drama"], ["Sci-Fi", "Drama"], [], ["<i>Odd</i>"]]
COUNTS = {"targets": 2, "users": 40, "items": ITEMS, "candidates": ITEMS, "interactions": 480}
MOVIELENS = {"targets": 6040, "users": 6040, "items": 3883, "candidates": 3706, "interactions": 1_000_209}
VALUES = {"ndcg@10": 0.17, "ndcg@20": 0.2, "recall@10": 0.3, "recall@20": 0.4}


class World:
    """Everything that the report is made from; only the results are made up."""

    def __init__(self, folder: Path, genres: bool = True) -> None:
        generator = np.random.default_rng(0)
        self.vectors = generator.standard_normal((ITEMS, 12)).astype(np.float32)
        self.table = pl.DataFrame(
            {
                "item_id": [f"id {row}" for row in range(ITEMS)],
                "title": [*ODD, *(f"Film {row}" for row in range(len(ODD), ITEMS))],
                "year": pl.Series([1990 + row % 5 if genres else None for row in range(ITEMS)], dtype=pl.Int32),
            }
        )
        whitening = Whitening.fit(self.vectors, 8)
        texts = self.table["title"].to_list()
        model = dict.fromkeys(("revision", "weights_sha256", "tokenizer_sha256", "config_sha256"))
        description = {
            "model": {**model, "id": "t5-<nano>"},
            "pooling": "mean",
            "max_length": 8,
            "dtype": "float32",
        }
        write_store(folder / "store", self.table, texts, self.vectors, whitening, "{title} <b>", description)
        self.store = EmbeddingStore.open(folder / "store")
        frozen = self.store.whitened()
        build_index(frozen, folder / "index", self.store.hash)
        self.catalogue = Catalogue(self.table, frozen, self.store.hash, folder / "index")
        self.sequences = self._sequences(generator)
        odd = [GENRES[row % len(GENRES)] if genres else [] for row in range(ITEMS)]
        self.items = Items(self.catalogue, odd, self.sequences.training_counts(ITEMS))
        self._make_scorers(frozen)

    def _sequences(self, generator: np.random.Generator) -> Sequences:
        lengths = [1 + user % 23 for user in range(COUNTS["users"])]
        return make_sequences([generator.permutation(ITEMS)[:length] for length in lengths])

    def _make_scorers(self, frozen: np.ndarray) -> None:
        params = load_params(ROOT / "params.yaml")
        self.train = params.train.model_copy(update={"history": HISTORY})
        self.fusion = params.fusion.for_data(repeated=False, timed=False)
        self.candidates = np.ones(ITEMS, np.bool_)
        self.user_ids = [f"user <{row}>" for row in range(self.sequences.user_count)]
        self.model = new_model(self.train, frozen)
        prefixes = prefix_states(self.model, self.sequences)
        lookup = Lookup(
            shortlist=40,
            overlap=self.fusion.overlap,
            neighbours=20,
            following=self.fusion.following,
            preceding=self.fusion.preceding,
        )
        self.sources = {
            "next_items": Datastore.of(prefixes.states, prefixes.next_items, prefixes.users, lookup),
            "items": SimilarItems(self.catalogue.index, frozen, 5, self.fusion.recent_items),
            "co_occurring": CoOccurringItems(self.sequences, ITEMS, 5, self.fusion.recent_items),
        }
        mixture = Fusion(initial_values(self.fusion), self.sequences.training_counts(ITEMS)).eval()
        self.scorers = {
            "hierarchical": Scorer(self.model, self.candidates, dtype=torch.float32),
            "rag": Scorer(self.model, self.candidates, self.sources, mixture, torch.float32),
        }

    def people(self) -> list[Any]:
        return people(self.sequences, self.user_ids, self.catalogue, self.scorers)

    def content(self, results: Results) -> Content:
        settings = {"train": self.train.model_dump(), "fusion": self.fusion.model_dump()}
        return Content(
            results=results,
            facts=facts(results.counts, self.store, self.catalogue.index, self.model, self.sources),
            settings=list(flat(settings)),
            map=item_map(self.items, self.store.vectors),
            people=self.people(),
            neighbours=neighbours(self.items),
        )


def variant_metrics(factor: float) -> dict[str, Any]:
    """Return the metrics of a variant: `VALUES` times a factor."""
    values = {name: value * factor for name, value in VALUES.items()}
    groups = {
        "history": ("long", "middle", "short"),
        "popularity": ("head", "middle", "tail"),
        "perturbed": ("dropped", "replaced"),
    }
    return {
        "validation": values,
        "test": values,
        "users": 40,
        "candidates": ITEMS,
        "intervals": {"test": {name: {"low": value - 0.01, "high": value + 0.01} for name, value in values.items()}},
        "slices": {name: {group: {"users": 40, **values} for group in names} for name, names in groups.items()},
    }


def full_results(counts: dict[str, int] = COUNTS) -> Results:
    """Return all that an evaluation writes."""
    curve = pl.DataFrame({"epoch": [0, 1, 2], "train_loss": [float("nan"), 5.0, 4.5], "ndcg@10": [0.1, 0.2, 0.3]})
    recall = pl.DataFrame({"k": [1, 10, 100, 1000], "recall": [0.1, 0.3, 0.6, 1.0]})
    comparison = {
        name: {
            "hierarchical": value,
            "rag": 1.1 * value,
            "relative": 0.1,
            "low": 0.001,
            "high": 0.02,
            "p": 0.01,
        }
        for name, value in VALUES.items()
    }
    variants = ("hierarchical", "rag")
    return Results(
        metrics={"hierarchical": variant_metrics(1), "rag": variant_metrics(1.1)},
        baselines={
            "markov": {"validation": VALUES, "test": VALUES},
            "popularity": dict.fromkeys(("validation", "test"), dict.fromkeys(VALUES, 0.02)),
        },
        comparison=comparison,
        counts=counts,
        curves={"hierarchical": curve, "rag": curve.rename({"epoch": "step"})},
        recall=dict.fromkeys(variants, recall),
    )


def bare_results() -> Results:
    """Return the least that an evaluation may write."""
    metrics = {"validation": VALUES, "test": VALUES, "users": 40, "candidates": ITEMS}
    return Results({"hierarchical": metrics, "rag": metrics}, {}, {}, COUNTS, {}, {})
