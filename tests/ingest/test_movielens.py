import time
from pathlib import Path

import pytest
from hierrec.core.errors import DataError
from hierrec.ingest.movielens import read_movielens
from hierrec.ingest.params import Counts
from hierrec.ingest.sample import sample_dataset
from hierrec.params import load_params
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.ingest.archives import FILES, write_archive, write_raw
from tests.ingest.own_tables import events

SMALL = Counts(interactions=10, users=4, rated_items=4, items=5)


def test_a_sound_archive(archive: Path) -> None:
    raw = read_movielens(archive, SMALL)
    assert raw.name == "movielens"
    assert raw.items.rows() == [
        ("1", "The Harbour Lights", 1961, ["Drama", "Romance"]),
        ("3", "Robot Carnival", 1988, ["Animation", "Sci-Fi"]),
        ("4", "Les Étoiles (The Stars)", 1975, ["Comedy"]),
        ("9", "Sand", 1999, ["Western"]),
        ("12", "Nobody Saw This", 2000, ["Documentary"]),
    ]
    lines = FILES["ratings.dat"].decode().splitlines()
    assert ["::".join(map(str, row)) for row in events(raw).rows()] == lines


def test_the_checksum_is_that_of_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_archive(path)
    other = write_archive(tmp_path / "b.zip", {**FILES, "README": b"more"})
    assert len(read_movielens(path).md5 or "") == 32
    assert read_movielens(path).md5 != read_movielens(other).md5


@pytest.mark.parametrize("genres", [b"", b"(no genres listed)"])
def test_a_movie_may_have_no_genre_and_no_year(tmp_path: Path, genres: bytes) -> None:
    movies = FILES["movies.dat"].replace(b"Sand (1999)::Western", b"Sand::" + genres)
    raw = read_movielens(write_archive(tmp_path / "a.zip", {**FILES, "movies.dat": movies}))
    assert raw.items.rows()[3] == ("9", "Sand", None, [])


def test_a_missing_final_newline_is_no_error(tmp_path: Path) -> None:
    files = {name: content.rstrip(b"\n") for name, content in FILES.items()}
    path = write_archive(tmp_path / "a.zip", files)
    assert_frame_equal(events(read_movielens(path)), events(read_movielens(write_archive(path))))


def test_a_raw_data_set_survives_the_way_through_an_archive(tmp_path: Path) -> None:
    raw = sample_dataset(users=20)
    read = read_movielens(write_raw(tmp_path / "a.zip", raw.items, events(raw)))
    assert_frame_equal(read.items, raw.items)
    assert_frame_equal(events(read), events(raw))


@pytest.mark.parametrize("field", ["interactions", "users", "rated_items", "items"])
def test_other_counts_than_expected_are_refused(archive: Path, field: str) -> None:
    expected = SMALL.model_copy(update={field: 1_234})
    with pytest.raises(DataError, match=rf"\d {field} instead of 1,234") as caught:
        read_movielens(archive, expected)
    assert caught.value.what.count("instead of") == 1


LINES = st.lists(
    st.lists(st.text("0123456789:|() ,aé\r-", max_size=6), min_size=1, max_size=5).map("::".join), max_size=4
).map("\n".join)


SOUND = {
    "movies.dat": b"13::Found Later (2001)::Drama\n",
    "ratings.dat": b"4::3::5::978100001\n",
    "users.dat": b"5::M::25::4::10001\n",
}
"""A line more of each file."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(sorted(FILES)),
    content=st.binary(max_size=60) | LINES.map(lambda t: t.encode("latin-1")),
)
@example(name="movies.dat", content=SOUND["movies.dat"])
@example(name="ratings.dat", content=SOUND["ratings.dat"])
@example(name="users.dat", content=SOUND["users.dat"])
@example(name="users.dat", content=b"4::M::25::4::10001\n")  # a user twice
def test_no_content_crashes_the_reader(tmp_path: Path, name: str, content: bytes) -> None:
    path = write_archive(tmp_path / "a.zip", {**FILES, name: FILES[name] + content})
    try:
        raw = read_movielens(path)
    except DataError:
        assert content not in SOUND.values()
        return
    lines = (FILES[name] + content).rstrip(b"\n").replace(b"\r\n", b"\n").split(b"\n")
    users = {int(line.split(b"::")[0]) for line in lines if line.count(b"::") == 4}
    read = {"movies.dat": len(raw.items), "ratings.dat": len(raw.interactions), "users.dat": len(users)}
    assert read[name] == len(lines)


def test_the_default_archive_is_the_official_one() -> None:
    ingest = load_params(Path("params.yaml")).ingest
    assert ingest.archive == "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
    assert ingest.md5 == "c4d9eecfca2ab87c1945afe126590906"
    assert ingest.expected == Counts(interactions=1_000_209, users=6_040, rated_items=3_706, items=3_883)


@pytest.mark.realdata
def test_movielens_1m(ml1m_archive: Path) -> None:
    expected = load_params(Path("params.yaml")).ingest.expected
    assert expected is not None
    start = time.perf_counter()
    raw = read_movielens(ml1m_archive, expected)
    assert time.perf_counter() - start < 15
    assert (len(raw.interactions), len(raw.items)) == (1_000_209, 3_883)
    assert raw.items["year"].null_count() == 0
    moved = raw.items["title"].str.contains(r", (The|A|An|La|Le|Les|L'|Il|Der|Die|Das|El|Det|I|O)(\)|$| \()")
    assert not moved.any()
    assert raw.items["genres"].explode().n_unique() == 18
