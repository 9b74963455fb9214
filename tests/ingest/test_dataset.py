import dataclasses
import json
from pathlib import Path
from random import Random

import hierrec.core.tables as tables
import hierrec.ingest.event_log as event_log
import hierrec.ingest.event_order as event_order
import polars as pl
import pytest
from hierrec.core.files import sha256_file
from hierrec.core.sequences import gap_buckets
from hierrec.core.tables import (
    load_interactions,
    load_items,
    load_split,
    load_times,
    load_users,
)
from hierrec.ingest.dataset import Dataset, build
from hierrec.ingest.event_log import INTERACTIONS, ITEMS, EventLog, RawDataset
from hierrec.ingest.movielens import read_movielens
from hierrec.ingest.sample import sample_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.ingest.own_tables import events

Rating = tuple[str, str, int, int]
TABLES = ["items", "users", "interactions", "split", "ratings", "times/gaps", "times/none", "times/clock"]


def raw_dataset(ratings: list[Rating], listed: list[str] | None = None) -> RawDataset:
    """Interactions of user id, item id, rating and timestamp; items: `listed`, or all that occur."""
    ids = sorted({item for _, item, _, _ in ratings}) if listed is None else listed
    items = pl.DataFrame([(item, f"Film {item}", 1999, ["Drama"]) for item in ids], ITEMS, orient="row")
    log = EventLog.of(pl.DataFrame(ratings, INTERACTIONS, orient="row"), items["item_id"])
    return RawDataset("test", None, items, log)


@st.composite
def ratings(draw: st.DrawFn) -> list[Rating]:
    """Few users, items and seconds, so that ties are common; a user rates an item once."""
    pairs = st.tuples(st.integers(1, 5), st.integers(1, 30))
    chosen = draw(st.lists(pairs, min_size=1, max_size=40, unique=True))
    seconds = draw(st.lists(st.integers(1, 6), min_size=len(chosen), max_size=len(chosen)))
    return [(str(user), str(item), 3, second) for (user, item), second in zip(chosen, seconds, strict=True)]


def histories(rows: list[Rating]) -> dict[str, list[str]]:
    """The items of each user in the total order, the plain way."""
    users: dict[str, list[tuple[int, int, str]]] = {}
    for line, (user, item, _, second) in enumerate(rows):
        users.setdefault(user, []).append((second, line, item))
    return {user: [item for _, _, item in sorted(users[user])] for user in sorted(users, key=int)}


def read_back(dataset: Dataset) -> dict[str, list[str]]:
    """The items of each user as the tables tell them."""
    table = dataset.interactions.join(dataset.users, on="user").join(
        dataset.items.select("item_id", item="row"), on="item"
    )
    result: dict[str, list[str]] = {}
    for user, item in table.sort("user", "position").select("user_id", "item_id").rows():
        result.setdefault(user, []).append(item)
    return result


@settings(deadline=None)
@given(ratings())
def test_the_order_is_total_and_nothing_is_lost(rows: list[Rating]) -> None:
    dataset = build(raw_dataset(rows))
    expected = histories(rows)
    assert read_back(dataset) == expected
    assert dataset.users["user_id"].to_list() == list(expected)
    assert len(dataset.interactions) == len(dataset.ratings) == len(rows)
    assert dataset.interactions.select("user", "position").equals(dataset.ratings.select("user", "position"))


@settings(deadline=None)
@given(ratings())
def test_the_split_is_leave_one_out(rows: list[Rating]) -> None:
    dataset = build(raw_dataset(rows))
    ids = dataset.items["item_id"]
    for history, (user, train_length, validation, test) in zip(
        histories(rows).values(), dataset.split.rows(), strict=True
    ):
        targets = [ids[row] for row in (validation, test) if row is not None]
        assert history[:train_length] + targets == history, user
        assert len(targets) == (2 if len(history) >= 3 else 0)
    assert dataset.split["user"].to_list() == list(range(len(dataset.users)))


@settings(deadline=None)
@given(ratings(), st.randoms(use_true_random=False))
def test_only_the_order_of_tied_rows_of_the_file_counts(rows: list[Rating], random: Random) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    # put tied rows (same user, same second) back into their old order, in their new places
    queues: dict[tuple[str, int], list[Rating]] = {}
    for row in rows:
        queues.setdefault((row[0], row[3]), []).append(row)
    kept = [queues[row[0], row[3]].pop(0) for row in shuffled]
    before, after, ties = build(raw_dataset(rows)), build(raw_dataset(kept)), build(raw_dataset(shuffled))
    for table in TABLES[:5]:
        assert_frame_equal(getattr(after, table), getattr(before, table))
    same_order = histories(shuffled) == histories(rows)
    assert ties.interactions.equals(before.interactions) == same_order


def test_a_tie_goes_by_row_not_by_id() -> None:
    rows = [("1", item, 3, 7) for item in ("9", "2", "5", "1")]
    assert read_back(build(raw_dataset(rows))) == {"1": ["9", "2", "5", "1"]}


@pytest.mark.parametrize(
    ("ids", "order"),
    [
        (["10", "9", "100", "1"], ["1", "9", "10", "100"]),
        (["10", "9", "b", "1"], ["1", "10", "9", "b"]),
        (["7", "07", "6"], ["6", "07", "7"]),
        (["18446744073709551615", "2"], ["2", "18446744073709551615"]),
        (["-1", "3", "20"], ["-1", "20", "3"]),
    ],
)
def test_ids_are_in_natural_order(ids: list[str], order: list[str]) -> None:
    dataset = build(raw_dataset([(item, item, 3, 7) for item in ids], listed=ids))
    assert dataset.items["item_id"].to_list() == order
    assert dataset.users["user_id"].to_list() == order
    assert dataset.items["row"].to_list() == list(range(len(ids)))


def test_candidates() -> None:
    raw = raw_dataset([("1", "2", 3, 7), ("1", "4", 3, 8)], listed=["1", "2", "3", "4"])
    assert build(raw, "interacted").items["candidate"].to_list() == [False, True, False, True]
    assert build(raw, "all").items["candidate"].to_list() == [True] * 4
    assert build(raw).counts == {"candidates": 2, "interactions": 2, "items": 4, "users": 1}


@pytest.mark.parametrize("by_time", [False, True])
def test_more_than_2_to_the_31_interactions_are_counted(by_time: bool) -> None:
    dataset = build(raw_dataset([("1", "2", 3, 7), ("2", "2", 3, 8)], listed=["2"]))
    split = dataset.split.with_columns(train_length=pl.lit(2**31 - 1, pl.Int32))
    split = split.with_columns(length=pl.col("train_length")) if by_time else split
    assert dataclasses.replace(dataset, split=split).counts["interactions"] == 2**32 - 2


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def test_written_tables_are_what_the_readers_read(archive: Path, tmp_path: Path) -> None:
    dataset = build(read_movielens(archive))
    dataset.write(tmp_path / "data")
    folder = tmp_path / "data"
    assert_frame_equal(load_items(folder / "items.parquet"), dataset.items)
    assert_frame_equal(load_users(folder / "users.parquet"), dataset.users)
    assert_frame_equal(load_interactions(folder / "interactions.parquet"), dataset.interactions)
    assert_frame_equal(load_split(folder / "split.parquet"), dataset.split)
    assert_frame_equal(pl.read_parquet(folder / "ratings.parquet"), dataset.ratings)
    ratings = dataset.ratings
    gaps = gap_buckets(ratings["position"].to_numpy(), ratings["timestamp"].to_numpy())
    assert load_times(folder / "times" / "gaps.parquet").tolist() == gaps.tolist()
    assert pl.read_parquet(folder / "times" / "none.parquet").is_empty()
    assert not load_times(folder / "times" / "clock.parquet").any()  # no two users overlap in time
    assert dataset.interactions.schema == {"user": pl.Int32, "item": pl.Int32, "position": pl.Int32}


@pytest.mark.parametrize(
    ("times", "compared"),
    [
        ([[10, 20, 30], [15, 20, 35], [12, 20, 50]], True),
        ([[0, 1, 2], [0, 1, 2], [0, 1, 2]], False),  # each user's interactions are numbered
        ([[0, 1, 2], [3, 4, 5], [6, 7, 8]], False),  # all rows are numbered
        ([[7, 7, 7], [7, 7, 7], [7, 7, 7]], False),
    ],
)
def test_times_that_do_not_compare_users_give_no_clock(times: list[list[int]], compared: bool, tmp_path: Path) -> None:
    rows = [(f"u{user}", f"i{place}", 1, time) for user, own in enumerate(times) for place, time in enumerate(own)]
    build(raw_dataset(rows)).write(tmp_path)
    every = [time for own in times for time in own]
    earlier = [sum(other < time for other in every) * compared for time in every]
    assert load_times(tmp_path / "times" / "clock.parquet").tolist() == earlier


def test_the_small_archive_by_hand(archive: Path) -> None:
    dataset = build(read_movielens(archive))
    assert dataset.items["item_id"].to_list() == ["1", "3", "4", "9", "12"]
    assert dataset.items["candidate"].to_list() == [True, True, True, True, False]
    assert dataset.interactions.rows() == [
        *((0, item, position) for position, item in enumerate([0, 2, 3, 1])),
        *((1, item, position) for position, item in enumerate([3, 1, 0])),
        *((2, item, position) for position, item in enumerate([1, 3])),
        (3, 0, 0),
    ]
    assert dataset.split.rows() == [(0, 2, 3, 1), (1, 1, 1, 0), (2, 2, None, None), (3, 1, None, None)]
    assert dataset.ratings.rows()[:2] == [(0, 0, 3, 978300719), (0, 1, 5, 978300760)]


def test_the_manifest_tells_source_counts_and_hashes(archive: Path, tmp_path: Path) -> None:
    raw = read_movielens(archive)
    dataset = build(raw)
    dataset.write(tmp_path / "data")
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    found = hashes(tmp_path / "data")
    found.pop("manifest.json")
    assert manifest == {
        "schema_version": 1,
        "dataset": "movielens",
        "source": {"md5": raw.md5},
        "counts": {"candidates": 4, "interactions": 10, "items": 5, "users": 4},
        "sha256": found,
    }
    assert set(found) == {f"{table}.parquet" for table in TABLES}


@settings(deadline=None, max_examples=30)
@given(rows=ratings(), factor=st.integers(1, 1000), rating=st.sampled_from([1, 2, 4, 5]))
def test_values_that_keep_the_order_reach_no_table_but_ratings(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Rating], factor: int, rating: int
) -> None:
    folder = tmp_path_factory.mktemp("data")
    build(raw_dataset(rows)).write(folder)
    before = hashes(folder)
    build(raw_dataset([(u, i, rating, 10**9 + factor * t) for u, i, _, t in rows])).write(folder)
    after = hashes(folder)
    changed = {name for name in before if before[name] != after[name]}
    times = {"ratings.parquet", "times/gaps.parquet", "manifest.json"}
    assert times - {"times/gaps.parquet"} <= changed <= times


def test_equal_tables_give_equal_bytes_whatever_their_chunks(archive: Path, tmp_path: Path) -> None:
    dataset = build(read_movielens(archive))
    dataset.write(tmp_path / "a")
    (events,) = dataset.events
    chunked = {
        "items": pl.concat([dataset.items[:2], dataset.items[2:]], rechunk=False),
        "events": [events[:1], events[1:4], events[4:]],
    }
    assert chunked["items"].n_chunks() == 2
    dataclasses.replace(dataset, **chunked).write(tmp_path / "b")
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@settings(deadline=None, max_examples=30)
@given(rows=ratings(), bucket=st.integers(1, 12), block=st.integers(1, 12), group=st.integers(1, 12))
def test_equal_data_give_equal_bytes_whatever_is_in_memory_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Rating], bucket: int, block: int, group: int
) -> None:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_ROW_GROUP", group)
        build(raw_dataset(rows)).write(folder / "whole")
        patch.setattr(event_order, "BUCKET", bucket)
        patch.setattr(event_log, "BLOCK", block)
        patch.setattr(event_log, "_IN_MEMORY", 1)
        dataset = build(raw_dataset(rows))
        assert len(list(dataset.events)) >= len(rows) / (bucket + 30)  # 30 items: no user has more
        dataset.write(folder / "parts")
    assert hashes(folder / "whole") == hashes(folder / "parts")


def test_writing_replaces_its_own_files_only(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ".gitignore").write_text("/items.parquet\n")
    (folder / "items.parquet").write_text("old")
    build(read_movielens(archive)).write(folder)
    assert (folder / ".gitignore").read_text() == "/items.parquet\n"
    assert len(load_items(folder / "items.parquet")) == 5


def test_the_manifest_takes_its_place_last(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str] = []
    replace = Path.replace

    def watch(source: Path, target: Path) -> Path:
        placed.append(target.name)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", watch)
    build(read_movielens(archive)).write(tmp_path / "data")
    assert {f"{table.rpartition('/')[2]}.parquet" for table in TABLES} < {*placed[:-1]}
    assert (placed[-1], placed.count("manifest.json")) == ("manifest.json", 1)


def test_a_failure_while_writing_changes_nothing(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset = build(read_movielens(archive))
    dataset.write(folder)
    before = hashes(folder)
    broken = dataclasses.replace(build(read_movielens(archive), "all"), split=None)  # the last to be written
    with pytest.raises(TypeError):
        broken.write(folder)
    assert hashes(folder) == before


@pytest.mark.realdata
def test_movielens_1m_against_a_plain_reading(ml1m_archive: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(ml1m_archive) as opened:
        lines = opened.read("ml-1m/ratings.dat").decode("latin-1").splitlines()
    rows = [(user, item, 3, int(second)) for user, item, _, second in (line.split("::") for line in lines)]
    dataset = build(read_movielens(ml1m_archive))
    assert dataset.counts == {"candidates": 3_706, "interactions": 1_000_209, "items": 3_883, "users": 6_040}
    assert read_back(dataset) == histories(rows)
    assert dataset.split["test"].null_count() == 0
    dataset.write(tmp_path)
    assert_frame_equal(load_interactions(tmp_path / "interactions.parquet"), dataset.interactions)


def test_renamed_users_in_the_same_order_change_no_table_but_their_names() -> None:
    raw = sample_dataset(users=40)
    renamed = events(raw).with_columns(pl.format("user {}", pl.col("user_id").str.zfill(6)).alias("user_id"))
    log = EventLog.of(renamed, raw.items["item_id"])
    first, second = build(raw), build(dataclasses.replace(raw, interactions=log))
    for name in ("items", "interactions", "ratings", "split"):
        assert getattr(first, name).equals(getattr(second, name))
    assert not first.users.equals(second.users)
