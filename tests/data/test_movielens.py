import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hierrec.data.movielens import read_movielens
from hierrec.data.sample import sample_dataset
from hierrec.errors import DataError
from hierrec.params import Counts, load_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.data.archives import FILES, write_archive, write_raw

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
    assert ["::".join(map(str, row)) for row in raw.interactions.rows()] == lines


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
    assert_frame_equal(read_movielens(path).interactions, read_movielens(write_archive(path)).interactions)


def test_a_raw_data_set_survives_the_way_through_an_archive(tmp_path: Path) -> None:
    raw = sample_dataset(users=20)
    read = read_movielens(write_raw(tmp_path / "a.zip", raw))
    assert_frame_equal(read.items, raw.items)
    assert_frame_equal(read.interactions, raw.interactions)


def replace(old: bytes, new: bytes, count: int = -1) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, count)

    return edit


def append(line: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content + line


BROKEN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "other separator": (
        "ratings.dat",
        replace(b"::", b","),
        r"line 1: 1 instead of 4 columns.* \(and 9 more lines",
    ),
    "missing column": (
        "ratings.dat",
        replace(b"2::9::1::", b"2::9::"),
        "line 6: 3 instead of 4 columns: '2::9::",
    ),
    "extra column": ("users.dat", replace(b"::70072", b"::70072::x"), "line 2: 6 instead of 5 columns"),
    "separator in a title": ("movies.dat", replace(b"Robot ", b"Robot::"), "line 2: 4 instead of 3 columns"),
    "blank line": ("ratings.dat", replace(b"\n2::3", b"\n\n2::3"), "line 5: 1 instead of 4 columns: ''"),
    "two blank lines at the end": ("ratings.dat", append(b"\n\n"), "line 11: 1 instead of 4 columns"),
    "header line": (
        "ratings.dat",
        lambda content: b"UserID::MovieID::Rating::Timestamp\n" + content,
        "line 1, column UserID: 'UserID' is not a whole number",
    ),
    "empty movies": ("movies.dat", lambda _: b"", "movies.dat: file is empty"),
    "empty users": ("users.dat", lambda _: b"\n", "users.dat: file is empty"),
    "empty ratings": ("ratings.dat", lambda _: b" \n ", "ratings.dat: file is empty"),
    "text as a rating": (
        "ratings.dat",
        replace(b"::2::978301968", b"::two::978301968"),
        "line 4, column Rating: 'two'",
    ),
    "rating 0": ("ratings.dat", replace(b"2::9::1", b"2::9::0"), "line 6, column Rating: '0' .* from 1 to 5"),
    "rating 6": ("ratings.dat", replace(b"2::9::1", b"2::9::6"), "line 6, column Rating: '6'"),
    "half a star": ("ratings.dat", replace(b"2::9::1", b"2::9::1.5"), "line 6, column Rating: '1.5'"),
    "rating missing": ("ratings.dat", replace(b"2::9::1::", b"2::9::::"), "line 6, column Rating: ''"),
    "rating NaN": ("ratings.dat", replace(b"2::9::1::", b"2::9::nan::"), "line 6, column Rating: 'nan'"),
    "timestamp missing": ("ratings.dat", replace(b"978200001", b""), "line 8, column Timestamp: ''"),
    "timestamp 0": ("ratings.dat", replace(b"978200001", b"0"), "line 8, column Timestamp: '0'"),
    "negative timestamp": ("ratings.dat", replace(b"978200001", b"-978200001"), "line 8, column Timestamp"),
    "milliseconds": (
        "ratings.dat",
        replace(b"978200001", b"978200001000"),
        r"(?s)line 8, column Timestamp: '978200001000'.*not milliseconds",
    ),
    "date": ("ratings.dat", replace(b"978200001", b"2000-12-30"), "line 8, column Timestamp: '2000-12-30'"),
    "user 0": ("ratings.dat", replace(b"4::1::5", b"0::1::5"), "line 10, column UserID: '0'"),
    "negative movie": ("movies.dat", replace(b"9::Sand", b"-9::Sand"), "line 4, column MovieID: '-9'"),
    "overflow of 32 bits": (
        "ratings.dat",
        replace(b"4::1::5", b"2147483648::1::5"),
        "line 10, column UserID",
    ),
    "overflow of 64 bits": (
        "ratings.dat",
        replace(b"4::1::5", b"9" * 30 + b"::1::5"),
        "line 10, column UserID",
    ),
    "spaces around": ("ratings.dat", replace(b"::", b" :: "), r"line 1, column UserID: '1 '.*\(and 9 more"),
    "id in exponents": ("movies.dat", replace(b"9::Sand", b"9e0::Sand"), "line 4, column MovieID: '9e0'"),
    "unknown movie": (
        "ratings.dat",
        replace(b"4::1::5", b"4::2::5"),
        r"line 10, column MovieID: 2 is not .*movies.dat",
    ),
    "unknown user": (
        "ratings.dat",
        append(b"5::1::5::978100000\n"),
        "line 11, column UserID: 5 is not .*users.dat",
    ),
    "row twice": (
        "ratings.dat",
        append(b"4::1::5::978100000\n"),
        "line 11: UserID 4, MovieID 1 .* on line 10",
    ),
    "rated twice": (
        "ratings.dat",
        append(b"1::1::1::978400000\n"),
        "line 11: UserID 1, MovieID 1 .* on line 2",
    ),
    "movie twice": ("movies.dat", append(b"3::Other (1990)::Drama\n"), "line 6: MovieID 3 .* on line 2"),
    "user twice": ("users.dat", append(b"4::M::25::1::10001\n"), "line 5: UserID 4 .* on line 4"),
    "gender": ("users.dat", replace(b"2::M", b"2::male"), "line 2, column Gender: 'male' is not one of F, M"),
    "age": ("users.dat", replace(b"::56::", b"::old::"), "line 2, column Age: 'old'"),
    "empty title": ("movies.dat", replace(b"Sand (1999)", b""), "line 4, column Title: no title"),
    "only a year": ("movies.dat", replace(b"Sand (1999)", b" (1999)"), "line 4, column Title: no title"),
    "impossible year": (
        "movies.dat",
        replace(b"(1999)", b"(0199)"),
        "line 4, column Title: the year 199 is not",
    ),
    "empty genre": ("movies.dat", replace(b"Drama|", b"Drama||"), "line 1, column Genres: a genre is empty"),
    "genre twice": ("movies.dat", replace(b"|Romance", b"|Drama"), "line 1, column Genres: .* named twice"),
    "UTF-8": (
        "movies.dat",
        lambda content: content.decode("latin-1").encode("utf-8"),
        "movies.dat, line 3: is encoded in UTF-8",
    ),
    "byte order mark": (
        "ratings.dat",
        lambda content: b"\xef\xbb\xbf" + content,
        "line 1: .* byte order mark",
    ),
    "UTF-16": ("movies.dat", lambda content: content.decode("latin-1").encode("utf-16"), "byte order mark"),
    "Windows-1252": (
        "movies.dat",
        replace(b"Sand", b"\x93Sand\x94"),
        "line 4: has the control character 0x93",
    ),
    "zero byte": ("users.dat", replace(b"2::M", b"2::M\0"), "line 2: has the control character 0x00"),
    "old Mac line ends": ("ratings.dat", replace(b"\n", b"\r"), "line 1: has the control character 0x0d"),
    "a very long line": (
        "ratings.dat",
        replace(b"4::1::5", b"4::1::" + b"x" * 10**6),
        r"column Rating: 'x{57}\.\.\.'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    name, edit, message = BROKEN[case]
    path = write_archive(tmp_path / "a.zip", {**FILES, name: edit(FILES[name])})
    with pytest.raises(DataError, match=message) as caught:
        read_movielens(path)
    assert str(caught.value).startswith(f"{path}, ml-1m/{name}")
    assert caught.value.remedy
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("field", ["interactions", "users", "rated_items", "items"])
def test_other_counts_than_expected_are_refused(archive: Path, field: str) -> None:
    expected = SMALL.model_copy(update={field: 1_234})
    with pytest.raises(DataError, match=rf"\d {field} instead of 1,234") as caught:
        read_movielens(archive, expected)
    assert caught.value.what.count("instead of") == 1


LINES = st.lists(
    st.lists(st.text("0123456789:|() ,aé\r-", max_size=6), min_size=1, max_size=5).map("::".join), max_size=4
).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(sorted(FILES)),
    content=st.binary(max_size=60) | LINES.map(lambda t: t.encode("latin-1")),
)
def test_no_content_crashes_the_reader(tmp_path: Path, name: str, content: bytes) -> None:
    path = write_archive(tmp_path / "a.zip", {**FILES, name: FILES[name] + content})
    with contextlib.suppress(DataError):
        raw = read_movielens(path)
        lines = (FILES[name] + content).rstrip(b"\n").replace(b"\r\n", b"\n").split(b"\n")
        tables = {"movies.dat": len(raw.items), "ratings.dat": len(raw.interactions), "users.dat": len(lines)}
        assert tables[name] == len(lines)


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
