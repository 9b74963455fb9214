"""Broken artifacts and contradictory params: the edit, the stage that must refuse, and its message."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hierrec.core.files import read_json, sha256_file, write_json
from hierrec.core.tables import write_table
from safetensors.numpy import load_file, save_file

DATA, STORE, INDEX = "data", "item_embeddings", "index"
MODEL, RAG = "models/hierarchical", "models/rag"


@dataclass(frozen=True)
class Case:
    """A stage that must refuse. ``edit`` spoils a file below `artifacts/`, ``params`` the params.

    ``sealed``: the checksums of a model are made to agree with the spoilt file.
    """

    stage: str
    message: str
    path: str = ""
    edit: Callable[[Path], object] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    sealed: bool = True


def table(*columns: pl.Expr) -> Callable[[Path], None]:
    """Change columns of a table."""
    return lambda path: write_table(pl.read_parquet(path).with_columns(*columns), path)


def rows(choose: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    """Change the rows of a table."""
    return lambda path: write_table(choose(pl.read_parquet(path)), path)


def vectors(edit: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Change the matrix of a store, whose manifest agrees: only the content betrays it."""

    def spoil(path: Path) -> None:
        np.save(path, edit(np.load(path)))
        manifest = read_json(path.parent / "manifest.json")
        manifest["files"][path.name] = sha256_file(path)
        write_json(path.parent / "manifest.json", manifest)

    return spoil


def number(value: float) -> Callable[[Path], None]:
    """Put a number into row 3 of a store's matrix."""

    def edit(matrix: np.ndarray) -> np.ndarray:
        matrix[3, 1] = value
        return matrix

    return vectors(edit)


def keys(edit: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Change the keys of a datastore."""
    return lambda path: np.save(path, edit(np.load(path)))


def tensors(edit: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Change every tensor of a checkpoint."""
    return lambda path: save_file({name: edit(value) for name, value in load_file(path).items()}, path)


def entry(**changes: Any) -> Callable[[Path], None]:
    """Change keys of a JSON file."""
    return lambda path: write_json(path, {**read_json(path), **changes})


def without(key: str) -> Callable[[Path], None]:
    """Take a key out of a JSON file."""
    return lambda path: write_json(path, {k: v for k, v in read_json(path).items() if k != key})


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00garbage" * 9)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def first_item_again(table: pl.DataFrame) -> pl.DataFrame:
    """Let user 0's first training item be the last as well, which is the test target: a planted leak."""
    last = table.filter(pl.col("user") == 0)["item"][-1]
    first = (pl.col("user") == 0) & (pl.col("position") == 0)
    return table.with_columns(pl.when(first).then(last).otherwise("item").cast(pl.Int32).alias("item"))


def targets_of(users: int) -> Callable[[Path], None]:
    """Leave targets to this many users; the others have only training items."""
    return rows(lambda split: _with_targets(split, users))


def _with_targets(split: pl.DataFrame, users: int) -> pl.DataFrame:
    others, held = pl.col("user") >= users, pl.col("test").is_not_null()
    return split.with_columns(
        pl.when(others & held).then(pl.col("train_length") + 2).otherwise("train_length").alias("train_length"),
        *(pl.when(~others).then(name).alias(name) for name in ("validation", "test")),
    )


ITEMS, EVENTS, SPLIT = f"{DATA}/items.parquet", f"{DATA}/interactions.parquet", f"{DATA}/split.parquet"
MATRIX, MANIFEST = f"{STORE}/embeddings.npy", f"{STORE}/manifest.json"
INDEX_MANIFEST, KEYS = f"{INDEX}/manifest.json", f"{RAG}/datastore/keys.npy"
ENTRIES = f"{RAG}/datastore/entries.parquet"
BROKEN: dict[str, Case] = {
    "tables: items missing": Case("encode", r"items\.parquet: file is missing", ITEMS, Path.unlink),
    "tables: items are no table": Case("encode", "not a readable Parquet file", ITEMS, garbage),
    "tables: rows out of order": Case("encode", "column row: rows are not numbered", ITEMS, rows(pl.DataFrame.reverse)),
    "tables: id twice": Case("encode", "an id occurs twice", ITEMS, table(pl.lit("1").alias("item_id"))),
    "tables: no candidate": Case("encode", "no item may be ranked", ITEMS, table(pl.lit(False).alias("candidate"))),
    "tables: interactions out of order": Case(
        "train_hierarchical", "column user: users are not numbered", EVENTS, rows(pl.DataFrame.reverse)
    ),
    "tables: item that is not listed": Case(
        "train_hierarchical", "not listed", EVENTS, table((pl.col("item") + 10_000).alias("item"))
    ),
    "tables: split of other users": Case("train_hierarchical", r"`dvc repro`", SPLIT, rows(lambda split: split[:-1])),
    "tables: one changed byte": Case(
        "train_hierarchical", r"split\.parquet.*not a readable Parquet|column", SPLIT, flip
    ),
    "tables: one user with targets": Case(
        "train_rag", "fewer than two users have a validation target", SPLIT, targets_of(1)
    ),
    "tables: nobody with targets": Case(
        "train_rag", "fewer than two users have a validation target", SPLIT, targets_of(0)
    ),
    "tables: a planted leak": Case(
        "evaluate_hierarchical",
        "history 0: the history holds the target",
        EVENTS,
        rows(first_item_again),
    ),
    "tables: a planted leak, read by the baselines": Case(
        "evaluate_baselines",
        "history 0: the history holds the target",
        EVENTS,
        rows(first_item_again),
    ),
    "tables: nobody with targets, read by the baselines": Case(
        "evaluate_baselines", "nothing to evaluate", SPLIT, targets_of(0)
    ),
    "store: NaN": Case("index", r"embeddings\.npy, row 3: the vector is not finite", MATRIX, number(np.nan)),
    "store: infinity": Case("index", r"embeddings\.npy, row 3: the vector is not finite", MATRIX, number(np.inf)),
    "store: NaN, in training": Case("train_hierarchical", "row 3: the vector is not finite", MATRIX, number(np.nan)),
    "store: a row too few": Case(
        "index", r"embeddings\.npy: shape \(\d+, \d+\), but", MATRIX, vectors(lambda matrix: matrix[:-1])
    ),
    "store: other vectors": Case("index", "content has another hash", MATRIX, flip),
    "store: truncated": Case("index", "content has another hash", MATRIX, cut),
    "store: ids out of order": Case("index", "another hash", f"{STORE}/items.parquet", rows(pl.DataFrame.reverse)),
    "store: whitening damaged": Case("index", "another hash", f"{STORE}/whitening.safetensors", flip),
    "store: manifest of version 3": Case(
        "index", "schema version 3; this program reads versions 1 and 2", MANIFEST, entry(schema_version=3)
    ),
    "store: manifest of version 2 without shards": Case(
        "index", "key shards is missing", MANIFEST, entry(schema_version=2)
    ),
    "store: manifest without a key": Case("index", "key count is missing", MANIFEST, without("count")),
    "store: manifest is a list": Case("index", "schema version None", MANIFEST, lambda path: write_json(path, [])),
    "store: manifest missing": Case("index", r"manifest\.json: file is missing", MANIFEST, Path.unlink),
    "store: of other items": Case(
        "train_hierarchical",
        "holds other items than the data",
        ITEMS,
        table((pl.col("item_id") + "x").alias("item_id")),
    ),
    "index: of other vectors": Case(
        "train_rag", "built from other embeddings", INDEX_MANIFEST, entry(store_hash="0" * 64)
    ),
    "index: manifest of version 1": Case(
        "train_rag", "schema version 1; this program reads version 2", INDEX_MANIFEST, entry(schema_version=1)
    ),
    "index: of a kind that is none": Case(
        "evaluate_rag", r"kind \['flat'\] is not known", INDEX_MANIFEST, entry(kind=["flat"])
    ),
    "index: a vector more": Case("train_rag", r"vectors of width \d+, but", INDEX_MANIFEST, entry(count=1)),
    "index: damaged": Case("train_rag", "content has another hash", f"{INDEX}/index.faiss", flip),
    "index: missing": Case("evaluate_rag", r"index\.faiss: file is missing", f"{INDEX}/index.faiss", Path.unlink),
    "checkpoint: of another shape": Case(
        "train_rag", "cannot be read", f"{MODEL}/model.safetensors", tensors(lambda value: value[:-1])
    ),
    "checkpoint: of other vectors": Case(
        "train_rag", "trained on the item vectors 000", f"{MODEL}/config.json", entry(store_hash="0" * 64)
    ),
    "checkpoint: of version 3": Case(
        "evaluate_hierarchical", "version 3", f"{MODEL}/config.json", entry(schema_version=3)
    ),
    "checkpoint: a flipped bit": Case(
        "train_rag", "content has another hash", f"{MODEL}/model.safetensors", flip, sealed=False
    ),
    "checkpoint: without checksums": Case(
        "train_rag", "checksums.json: file is missing", f"{MODEL}/checksums.json", Path.unlink, sealed=False
    ),
    "rag: a flipped bit in a key": Case("evaluate_rag", "content has another hash", KEYS, flip, sealed=False),
    "rag: a flipped bit in its base": Case(
        "evaluate_rag", "another hash", f"{RAG}/base/model.safetensors", flip, sealed=False
    ),
    "curve: truncated": Case("evaluate_report", "another hash", f"{RAG}/curve.csv", cut, sealed=False),
    "checkpoint: truncated": Case("evaluate_hierarchical", "cannot be read", f"{MODEL}/model.safetensors", cut),
    "checkpoint: NaN": Case(
        "evaluate_hierarchical",
        "is not finite",
        f"{MODEL}/model.safetensors",
        tensors(lambda value: value * np.nan),
    ),
    "checkpoint: missing": Case("evaluate_hierarchical", "missing", f"{MODEL}/config.json", Path.unlink),
    "rag: fusion damaged": Case("evaluate_rag", "cannot be read", f"{RAG}/fusion.safetensors", garbage),
    "rag: fusion not finite": Case(
        "evaluate_rag", "not finite", f"{RAG}/fusion.safetensors", tensors(lambda value: value * np.nan)
    ),
    "rag: fusion of another shape": Case(
        "evaluate_rag", "cannot be read", f"{RAG}/fusion.safetensors", tensors(lambda value: value[:-1])
    ),
    "rag: a key too few": Case("evaluate_rag", "do not fit", KEYS, keys(lambda matrix: matrix[:-1])),
    "rag: users' rows moved by one": Case(
        "evaluate_rag", "user 1 has another history", ENTRIES, table(pl.col("user") + 1)
    ),
    "rag: an item more than a user has": Case(
        "evaluate_rag", "has another history", ENTRIES, table(pl.lit(0, pl.Int32).alias("user"))
    ),
    "rag: NaN in a key": Case("evaluate_rag", "not finite", KEYS, keys(lambda matrix: matrix * np.float16(np.nan))),
    "rag: entries damaged": Case("evaluate_rag", "cannot be read", ENTRIES, garbage),
    "ranks: missing": Case("evaluate_report", "file is missing"),
    "params: a typo": Case(
        "index", r"key index\.exact_upto: .*did you mean exact_up_to", params={"index.exact_upto": 5}
    ),
    "params: a wrong type": Case("encode", r"key encode\.max_length: ", params={"encode.max_length": "long"}),
    "params: out of range": Case("encode", r"key encode\.batch_tokens: ", params={"encode.batch_tokens": 0}),
    "params: infinite": Case("params", r"key train\.learning_rate: ", params={"train.learning_rate": float("inf")}),
    "params: a source twice": Case("params", r"key fusion: ", params={"fusion.sources": ["items", "items"]}),
    "params: an unknown index": Case("index", r"key index\.kind: .*'flat'", params={"index.kind": "Flatt"}),
    "params: more neighbours than the shortlist has": Case(
        "train_rag", "neighbours 100000 are kept of a shortlist", params={"fusion.neighbours": 100_000}
    ),
    "params: an unknown text": Case("encode", "plot", params={"encode.template": "{plot}"}),
    "params: the bundled model at a revision": Case(
        "encode", "only a hub model has a revision", params={"encode.revision": "0" * 40}
    ),
    "params: no such model": Case("encode", "there is no folder", params={"encode.model": "/no/such/model"}),
    "params: histories longer than the backbone reads": Case(
        "train_hierarchical", r"positions, but train\.history is 5000", params={"train.history": 5000}
    ),
    "params: heads that do not share the width": Case(
        "train_hierarchical",
        r"key train\.backbone: .*do the heads share the width",
        params={"train.backbone.config.num_attention_heads": 3},
    ),
    "params: an unknown backbone": Case(
        "train_hierarchical", "no model type", params={"train.backbone.config.model_type": "gpt9"}
    ),
    "params: a typo in the config": Case(
        "train_hierarchical", "has no such setting", params={"train.backbone.config.num_layers": 2}
    ),
}
