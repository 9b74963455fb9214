"""A store in the formats of other tools."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import DataError
from ..core.files import atomic_directory, atomic_path, sha256_json, write_json
from ..store.store import EmbeddingStore
from ..store.vectors import Vectors

NINE_DIGITS = "%.9g"  # enough digits to tell any two float32 numbers apart
MODEL = "user_tower.onnx", "item_keys.onnx", "ids.json", "config.json"  # files of a model as ONNX (`onnx_export`)
ARROW = "data-00000-of-00001.arrow"
INFO = '{\n  "citation": "",\n  "description": "",\n  "homepage": "",\n  "license": ""\n}\n'
CONFIG = 'embeddings {\n  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n}\n'
UNSAFE = re.compile(r"[\s%\x00-\x1f\x7f-\x9f\ufeff]")

Writer = Callable[[Path, EmbeddingStore, Vectors], None]


def export(store: EmbeddingStore, form: str, out: Path, whitened: bool) -> None:
    """Write a store's ids and vectors in a format of ``WRITERS``, as a whole, replacing `out`.

    Raises:
        DataError: the format is a text format and an item's id is the empty text.
        StoreError: a vector is not finite.
    """
    write, names = WRITERS[form]
    if not whitened:  # else `whitened` checks them
        store.check_finite()
    with (atomic_directory if names else atomic_path)(out) as temporary:
        write(temporary, store, store.whitened() if whitened else store.vectors)


def is_export(folder: Path) -> bool:
    """Whether a folder holds the files of one format, or of a model as ONNX, and nothing else."""
    found = {path.name for path in folder.iterdir()}
    return found == set(MODEL) or any(
        found == set(files)
        and all(text is None or (folder / name).read_bytes() == text.encode() for name, text in files.items())
        for _, files in WRITERS.values()
        if files
    )


def token(item_id: str) -> str:
    """Return an id with white space, control characters and `%` percent-encoded; raise ``DataError`` for an empty id.

    `urllib.parse.unquote` reverts it.
    """
    if not item_id:
        raise DataError("an item's id is the empty text, which no text format can hold", "item_id")
    return UNSAFE.sub(lambda match: quote(match[0], safe=""), item_id)


def _write_parquet(path: Path, store: EmbeddingStore, vectors: Vectors) -> None:
    pq.write_table(_table(store, vectors), path, compression="zstd", write_page_checksum=True)


def _write_npy(folder: Path, store: EmbeddingStore, vectors: Vectors) -> None:
    np.save(folder / "embeddings.npy", np.asarray(vectors), allow_pickle=False)
    write_json(folder / "ids.json", store.item_ids)


def _write_datasets(folder: Path, store: EmbeddingStore, vectors: Vectors) -> None:
    """Write a folder for `datasets.load_from_disk`, which takes the features from the Arrow schema."""
    table = _table(store, vectors)
    with pa.OSFile(str(folder / ARROW), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=1000)
    (folder / "dataset_info.json").write_text(INFO, "utf-8", newline="\n")
    state = {
        "_data_files": [{"filename": ARROW}],
        "_fingerprint": sha256_json([store.hash, vectors.shape[1]])[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    write_json(folder / "state.json", state)


def _write_word2vec(path: Path, store: EmbeddingStore, vectors: Vectors) -> None:
    line = " ".join(["%s", *[NINE_DIGITS] * vectors.shape[1]]) + "\n"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{len(vectors)} {vectors.shape[1]}\n")
        for item_id, vector in zip(store.item_ids, vectors, strict=True):
            file.write(line % (token(item_id), *vector.tolist()))


def _write_projector(folder: Path, store: EmbeddingStore, vectors: Vectors) -> None:
    """Write the files of TensorBoard's projector, and the config by which it finds them in a log folder."""
    np.savetxt(folder / "tensors.tsv", vectors, NINE_DIGITS, delimiter="\t", newline="\n", encoding="utf-8")
    lines = ["item_id\ttitle"]
    for item_id, title in zip(store.item_ids, store.items["title"], strict=True):
        lines.append(f"{token(item_id)}\t{' '.join((title or '').split()) or token(item_id)}")
    (folder / "metadata.tsv").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
    (folder / "projector_config.pbtxt").write_text(CONFIG, "utf-8", newline="\n")


def _table(store: EmbeddingStore, vectors: Vectors) -> pa.Table:
    """Return item_id, title and embedding (FixedSizeList of float32)."""
    texts = [pa.array(store.items[name].to_list(), pa.string()) for name in ("item_id", "title")]
    embedding = pa.FixedSizeListArray.from_arrays(np.ravel(vectors), vectors.shape[1])
    return pa.table([*texts, embedding], ["item_id", "title", "embedding"])


WRITERS: dict[str, tuple[Writer, Mapping[str, str | None]]] = {
    "parquet": (_write_parquet, {}),
    "npy": (_write_npy, {"embeddings.npy": None, "ids.json": None}),
    "datasets": (_write_datasets, {ARROW: None, "dataset_info.json": INFO, "state.json": None}),
    "word2vec": (_write_word2vec, {}),
    "projector": (_write_projector, {"tensors.tsv": None, "metadata.tsv": None, "projector_config.pbtxt": CONFIG}),
}
"""The writer of each format, and the files of its folder (empty: the format is a single file). A file's value is its
constant content, or None."""
