"""The row cache: known rows are not computed again, saved rows survive, damaged rows are recomputed."""

import hashlib
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hierrec.core.errors import DataError, NumericalError
from hierrec.encode.encoder import ItemEncoder
from hierrec.encode.row_cache import RowCache, encode_texts
from hierrec.store.store_files import text_hash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import TEXTS, ModelFolder

MANY = [f"Film {number}. {TEXTS[number % len(TEXTS)]}" for number in range(60)]


@pytest.fixture
def folder(model_folder: ModelFolder) -> str:
    return str(model_folder("t5"))


def encode(folder: str, cache: Path, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    encoder = item_encoder(folder, 32)
    return encode_texts(encoder, texts, 200, texts, cache)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    batches=st.lists(st.dictionaries(st.integers(0, 20), st.floats(width=32, allow_nan=False), min_size=1), max_size=4),
    wanted=st.lists(st.integers(0, 25), min_size=1),
)
def test_gives_back_what_was_put(
    batches: list[dict[int, float]], wanted: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = RowCache(tmp_path_factory.mktemp("cache"), "key")
    known: dict[int, float] = {}
    for batch in batches:
        new = {number: value for number, value in batch.items() if number not in known}
        if new:
            keys = np.array([f"{number:064x}" for number in new], "S64")
            cache.put(keys, np.array([[value, -value] for value in new.values()], np.float32))
        known |= new
    found, rows = cache.get(np.array([f"{number:064x}" for number in wanted], "S64"))
    assert found.tolist() == [number in known for number in wanted]
    for place, number in enumerate(wanted):
        if number in known:
            assert rows is not None
            assert rows[place].tolist() == [known[number], -known[number]]


def test_equals_the_encoder_in_order(folder: str, tmp_path: Path) -> None:
    vectors, encoded = encode(folder, tmp_path, MANY)
    assert encoded == len(MANY)
    np.testing.assert_allclose(vectors, item_encoder(folder, 32).encode(MANY, 10_000), atol=1e-5)


def test_equal_texts_are_encoded_once_and_are_equal_in_every_bit(folder: str, tmp_path: Path) -> None:
    vectors, encoded = encode(folder, tmp_path, TEXTS * 3)
    assert encoded == len(TEXTS)
    assert np.array_equal(vectors[: len(TEXTS)], vectors[-len(TEXTS) :])


def test_only_changed_texts_are_encoded(folder: str, tmp_path: Path) -> None:
    first, _ = encode(folder, tmp_path, MANY)
    changed = ["Restored: " + text if number % 6 == 0 else text for number, text in enumerate(MANY)]
    second, encoded = encode(folder, tmp_path, changed)
    assert encoded == 10
    same = np.arange(len(MANY)) % 6 != 0
    assert np.array_equal(first[same], second[same])
    assert (first[~same] != second[~same]).any(axis=1).all()
    assert encode(folder, tmp_path, MANY[::-1])[1] == 0
    fresh, encoded = encode(folder, tmp_path / "fresh", changed)
    assert encoded == len(MANY)
    assert np.array_equal(fresh, second)


def test_another_model_or_setting_shares_no_row(folder: str, model_folder: ModelFolder, tmp_path: Path) -> None:
    encode(folder, tmp_path, TEXTS)
    assert encode(str(model_folder("t5-full")), tmp_path, TEXTS)[1] == len(TEXTS)
    encoder = item_encoder(folder, 31)
    assert encode_texts(encoder, TEXTS, 200, TEXTS, tmp_path)[1] == len(TEXTS)


def test_nothing_to_encode_runs_no_model(folder: str, tmp_path: Path) -> None:
    vectors, _ = encode(folder, tmp_path / "cache", MANY)
    np.save(tmp_path / "expected.npy", vectors)
    script = f"""
import sys, time
from pathlib import Path
import numpy as np
from hierrec.encode.row_cache import encode_texts
from tests.encode.encoders import item_encoder
start = time.perf_counter()
encoder = item_encoder({folder!r}, 32)
texts = {MANY!r}
vectors, encoded = encode_texts(encoder, texts, 200, texts, Path({str(tmp_path / "cache")!r}))
assert time.perf_counter() - start < 1
assert encoded == 0
assert np.array_equal(vectors, np.load({str(tmp_path / "expected.npy")!r}))
assert not {{"torch", "transformers"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_damaged_file_is_computed_again(folder: str, tmp_path: Path) -> None:
    first, _ = encode(folder, tmp_path, MANY)
    damages: list[Callable[[bytes], bytes]] = [
        lambda content: content[:-10],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"",
    ]
    for damage in damages:
        for path in tmp_path.rglob("*.npy"):
            path.write_bytes(damage(path.read_bytes()))
        again, encoded = encode(folder, tmp_path, MANY)
        assert encoded == len(MANY)
        assert np.array_equal(first, again)
        assert encode(folder, tmp_path, MANY)[1] == 0


def test_garbage_in_the_cache_is_no_row(folder: str, tmp_path: Path) -> None:
    """Garbage: files with a valid hash but without rows, and unreadable files."""
    first, _ = encode(folder, tmp_path, MANY)
    (rows,) = tmp_path.rglob("*.npy")
    tables: list[NDArray[Any]] = [
        np.zeros(3),
        np.zeros(0, np.load(rows).dtype),
        np.zeros((2, 2), np.load(rows).dtype),
        np.zeros(2, [("key", "S64"), ("vector", "<f8", (3,))]),
        np.zeros(2, [("key", "S64"), ("value", "<f4", (3,))]),
    ]
    contents = [b"", b"garbage", b"\x93NUMPY\x09\x00"]
    for table in tables:
        content = io.BytesIO()
        np.save(content, table)
        contents.append(content.getvalue())
    for content in contents:
        (rows.parent / f"{hashlib.sha256(content).hexdigest()}.npy").write_bytes(content)
    (rows.parent / "folder.npy").mkdir()
    (rows.parent / "nowhere.npy").symlink_to(tmp_path / "nowhere")
    (rows.parent / "other.txt").write_text("of another version")
    again, encoded = encode(folder, tmp_path, MANY)
    assert encoded == 0
    assert np.array_equal(first, again)


def test_a_file_that_vanishes_is_a_miss(tmp_path: Path) -> None:
    """Many files are read while another process removes and writes them."""
    cache = RowCache(tmp_path, "key")
    keys = np.array([f"{number:064x}" for number in range(40)], "S64")
    program = f"""
import numpy as np
from pathlib import Path
from hierrec.encode.row_cache import RowCache
keys = np.array([f"{{number:064x}}" for number in range(40)], "S64")
while True:
    for place in range(40):
        RowCache(Path({str(tmp_path)!r}), "key").put(keys[[place]], np.full((1, 2), place, np.float32))
    for path in Path({str(tmp_path)!r}).rglob("*.npy"):
        path.unlink()
"""
    other = subprocess.Popen([sys.executable, "-c", program])
    try:
        seen, end = set[int](), time.monotonic() + 60
        while len(seen) < 20 and time.monotonic() < end:
            found, rows = cache.get(keys)
            seen.add(int(found.sum()))
            for place in np.flatnonzero(found):
                assert rows is not None
                assert rows[place].tolist() == [place, place]
        assert len(seen) > 1
    finally:
        other.kill()
        other.wait()


def test_a_cache_that_another_number_of_threads_filled_changes_no_bit(tmp_path: Path) -> None:
    texts = [f"Film {number}. A war, a love story" for number in range(64)]

    def run(threads: int, cache: str) -> tuple[bytes, int]:
        torch.set_num_threads(threads)
        encoder = item_encoder("t5-nano", 32)
        vectors, encoded = encode_texts(encoder, texts, 4096, texts, tmp_path / cache)
        return vectors.tobytes(), encoded

    before = torch.get_num_threads()
    try:
        expected = [run(threads, f"own {threads}") for threads in (1, 2)]
        assert [encoded for _, encoded in expected] == [len(texts)] * 2
        assert [run(threads, "shared") for threads in (1, 2)] == expected
        assert run(1, "shared") == (expected[0][0], 0)
    finally:
        torch.set_num_threads(before)


class StopsAfter(ItemEncoder):
    """An encoder that fails after some batches."""

    def batches(self, *args: Any, **kwargs: Any) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for number, batch in enumerate(super().batches(*args, **kwargs)):
            if number == 3:
                raise NumericalError("stopped")
            yield batch


def test_work_done_before_a_failure_is_kept(folder: str, tmp_path: Path) -> None:
    encoder = item_encoder(folder, 32)
    with pytest.raises(NumericalError, match="stopped"):
        encode_texts(StopsAfter(encoder.files, encoder.params), MANY, 200, MANY, tmp_path)
    encoded = encode_texts(encoder, MANY, 200, MANY, tmp_path)[1]
    assert 0 < encoded < len(MANY)


def test_work_done_before_a_kill_is_kept(folder: str, tmp_path: Path) -> None:
    texts = [f"Film {number}." for number in range(20_000)]
    script = f"""
from pathlib import Path
from hierrec.encode import row_cache
from tests.encode.encoders import item_encoder
row_cache.SAVE_SECONDS = 0.0
encoder = item_encoder({folder!r}, 32)
texts = [f"Film {{number}}." for number in range(20_000)]
row_cache.encode_texts(encoder, texts, 100, texts, Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 300
    while len(list(tmp_path.rglob("*.npy"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() < 0, "the process ended before it was killed"
    saved = sum(len(np.load(path)) for path in tmp_path.rglob("*.npy"))
    cache = RowCache(tmp_path, item_encoder(folder, 32).cache_key(100))
    found, _ = cache.get(np.array([text_hash(text) for text in texts], "S64"))
    assert 0 < found.sum() == saved < len(texts)


def test_a_vector_that_is_not_finite_names_its_item(copy: Path, tmp_path: Path) -> None:
    encoder = item_encoder(copy, 32)
    ids = {text: encoder._tokenizer(text)["input_ids"] for text in ("Heat", "Alien", "M")}
    token = (set(ids["M"]) - {*ids["Heat"], *ids["Alien"]}).pop()
    weights = load_file(copy / "model.safetensors")
    weights["shared.weight"][token] = torch.inf
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    texts = ["Heat", "Alien", "M"]
    with pytest.raises(NumericalError, match="item 2"):
        encode_texts(item_encoder(copy, 32), texts, 100, ["item 0", "item 1", "item 2"], tmp_path)


def test_no_texts(folder: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no texts"):
        encode(folder, tmp_path, [])
