"""Every archive of the family: the same films and ratings in five layouts, and their peculiarities."""

import re
import zipfile
from pathlib import Path

import hierrec.ingest.archive as archives
import hierrec.ingest.movielens as movielens
import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.ingest.dataset import build
from hierrec.ingest.movielens import GENRES_100K, read_movielens
from hierrec.ingest.params import Counts

from tests.ingest.archives import FILES, write_archive
from tests.ingest.own_tables import events

RATINGS = [line.split("::") for line in FILES["ratings.dat"].decode().splitlines()]
MOVIES = [line.split("::") for line in FILES["movies.dat"].decode("latin-1").splitlines()]


def lines(rows: list[list[str]], separator: str, encoding: str = "utf-8") -> bytes:
    return "".join(separator.join(row) + "\n" for row in rows).encode(encoding)


def quoted(title: str) -> str:
    return f'"{title}"' if "," in title or '"' in title else title


def flags(movie: list[str]) -> list[str]:
    genres = movie[2].split("|")
    return [movie[0], movie[1], "01-Jan-1990", "", "http://x", *(str(int(g in genres)) for g in GENRES_100K)]


CSV = {
    "ratings.csv": b"userId,movieId,rating,timestamp\n" + lines(RATINGS, ","),
    "movies.csv": b"movieId,title,genres\n" + lines([[m[0], quoted(m[1]), m[2]] for m in MOVIES], ","),
    "tags.csv": b"userId,movieId,tag,timestamp\n",
    "links.csv": b"movieId,imdbId,tmdbId\n",
}
FAMILY: dict[str, dict[str, bytes]] = {
    "ml-100k/": {
        "u.data": lines(RATINGS, "\t"),
        "u.item": lines([flags(movie) for movie in MOVIES], "|", "latin-1"),
        "u1.base": b"",
        "u.genre": b"",
    },
    "ml-1m/": FILES,
    "ml-10M100K/": {
        "ratings.dat": lines(RATINGS, "::"),
        "movies.dat": lines(MOVIES, "::"),
        "tags.dat": b"",
    },
    "ml-25m/": CSV,
    "ml-latest-small/": {name: content.replace(b"\n", b"\r\n") for name, content in CSV.items()},
}


@pytest.mark.parametrize("folder", FAMILY)
@pytest.mark.parametrize("block", [40, 2**22])
def test_the_same_films_and_ratings_in_each_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, block: int
) -> None:
    monkeypatch.setattr(movielens, "_BLOCK", block)
    expected = read_movielens(write_archive(tmp_path / "a.zip"))
    counts = Counts(interactions=10, users=4, rated_items=4, items=5)
    raw = read_movielens(write_archive(tmp_path / "b.zip", FAMILY[folder], folder), counts)
    assert raw.items.equals(expected.items)
    assert events(raw).equals(events(expected))


@pytest.mark.parametrize("folder", ["ml-10M100K/", "ml-25m/"])
def test_half_stars_are_numbers(tmp_path: Path, folder: str) -> None:
    files = {
        name: content.replace(b"1,1,3,", b"1,1,3.5,").replace(b"1::1::3::", b"1::1::3.5::")
        for name, content in FAMILY[folder].items()
    }
    dataset = build(read_movielens(write_archive(tmp_path / "a.zip", files, folder)))
    assert dataset.ratings["rating"].to_list()[:2] == [3.5, 5.0]
    whole = build(read_movielens(write_archive(tmp_path / "b.zip")))
    assert whole.ratings.schema["rating"] == pl.Int8
    assert whole.interactions.equals(dataset.interactions)


def with_titles(*titles: str) -> dict[str, bytes]:
    rows = "".join(f"{number},{title},Drama\n" for number, title in zip((1, 3, 4, 9), titles, strict=True))
    return {**CSV, "movies.csv": f"movieId,title,genres\n{rows}".encode()}


def test_titles_of_the_csv_archives(tmp_path: Path) -> None:
    files = with_titles("Name (1995) (2000)", '"Say ""Hi"", The (1999) "', "Series (2006–2007)", "No year at all")
    raw = read_movielens(write_archive(tmp_path / "a.zip", files))
    assert raw.items.select("title", "year").rows() == [
        ("Name (1995)", 2000),
        ('The Say "Hi"', 1999),
        ("Series (2006–2007)", None),
        ("No year at all", None),
    ]


def test_titles_of_100k(tmp_path: Path) -> None:
    titles = ["A (1995) (V)", "unknown", "B (1994)", "C (TV)"]
    movies = [flags([str(number), title, "Drama"]) for number, title in zip((1, 3, 4, 9), titles, strict=True)]
    movies[1][2] = ""
    movies[1][5:] = ["1", *["0"] * 18]
    files = {**FAMILY["ml-100k/"], "u.item": lines(movies, "|")}
    raw = read_movielens(write_archive(tmp_path / "a.zip", files))
    assert raw.items.rows() == [
        ("1", "A", 1995, ["Drama"]),
        ("3", "unknown", None, []),
        ("4", "B", 1994, ["Drama"]),
        ("9", "C (TV)", 1990, ["Drama"]),
    ]


@pytest.mark.parametrize(
    ("folder", "name", "old", "new", "message"),
    [
        ("ml-25m/", "ratings.csv", b"1,1,3,", b"1,1,3.3,", "row 2, column rating: '3.3' is not a multiple of 0.5"),
        ("ml-25m/", "ratings.csv", b"1,1,3,", b"1,1,0,", "row 2, column rating: '0' is not"),
        ("ml-25m/", "ratings.csv", b"1,1,3,", b"1,1,,", "row 2, column rating: '' is not"),
        ("ml-25m/", "ratings.csv", b"1,1,3,", b"1,7,3,", "row 2, column movieId: 7 is not listed in movies.csv"),
        ("ml-25m/", "ratings.csv", b"1,1,3,", b"1,1,3,4,", "row 2: Expected 4 columns, got 5"),
        ("ml-25m/", "ratings.csv", b"4,1,5", b"2,1,5", "row 10: userId '2', movieId '1' is there already, on row 7"),
        ("ml-25m/", "ratings.csv", b"movieId", b"movie", "ratings.csv: column movieId is missing"),
        ("ml-25m/", "movies.csv", b"9,Sand", b"3,Sand", "row 4: movieId 3 is there already, on row 2"),
        ("ml-25m/", "movies.csv", b"\xc3\x89", b"\xe9", "movies.csv, row 3: is not UTF-8"),
        ("ml-10M100K/", "movies.dat", b"\xc3\x89", b"\xe9", "movies.dat, line 3: is not UTF-8"),
        ("ml-10M100K/", "ratings.dat", b"1::1::3", b"1::1::3.3", "line 2, column Rating: '3.3' is not"),
        ("ml-100k/", "u.data", b"1\t1\t3", b"1\t1\t3.5", "line 2, column rating: '3.5' is not a whole number"),
        ("ml-100k/", "u.item", b"|1|", b"|2|", "column .*: '2' is not one of 0, 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_row(
    tmp_path: Path, folder: str, name: str, old: bytes, new: bytes, message: str
) -> None:
    files = {**FAMILY[folder], name: FAMILY[folder][name].replace(old, new, 1)}
    assert files != FAMILY[folder]
    with pytest.raises(DataError) as caught:
        build(read_movielens(write_archive(tmp_path / "a.zip", files, folder)))
    assert re.search(message, str(caught.value))


def test_an_archive_of_none_of_the_family_says_what_is_lacking(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file is named ratings\.csv"):
        read_movielens(write_archive(tmp_path / "a.zip", {"movies.csv": b""}))


def test_a_large_member_is_read_if_it_is_packed_to_some_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 100)
    path = write_archive(tmp_path / "a.zip", CSV)
    assert len(read_movielens(path).interactions) == 10
    monkeypatch.setattr(archives, "LARGEST_RATIO", 1)
    with pytest.raises(DataError, match=r"movies\.csv: unpacks to"):
        read_movielens(path)


def test_damage_is_found_in_blocks_too(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", CSV)
    with zipfile.ZipFile(path) as opened:
        start = opened.getinfo("ml-1m/ratings.csv").header_offset
    content = bytearray(path.read_bytes())
    content[start + 60] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not a readable zip archive"):
        read_movielens(path)
