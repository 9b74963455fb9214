"""Archives in MovieLens-1M's layout, made by the tests from invented films or from any raw data set."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

FILES: dict[str, bytes] = {
    "movies.dat": (
        "1::Harbour Lights, The (1961)::Drama|Romance\n"
        "3::Robot Carnival (1988)::Animation|Sci-Fi\n"
        "4::Étoiles, Les (The Stars) (1975)::Comedy\n"
        "9::Sand (1999)::Western\n"
        "12::Nobody Saw This (2000)::Documentary\n"
    ).encode("latin-1"),
    "users.dat": (b"1::F::1::10::48067\n2::M::56::16::70072\n3::M::25::15::55117-1234\n4::F::45::7::02460\n"),
    "ratings.dat": (
        b"1::4::5::978300760\n1::1::3::978300719\n1::9::4::978300760\n1::3::2::978301968\n"
        b"2::3::5::978299000\n2::9::1::978298000\n2::1::4::978299000\n"
        b"3::9::3::978200001\n3::3::3::978200000\n"
        b"4::1::5::978100000\n"
    ),
}
"""A sound archive: 10 ratings with ties, of users with 4, 3, 2 and 1 ratings; an unrated item."""


def write_archive(path: Path, files: Mapping[str, bytes] = FILES, folder: str = "ml-1m/") -> Path:
    """Write ``files`` (base name → content) into a zip archive, in one folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(folder + name, content)
    return path


def write_raw(path: Path, items: pl.DataFrame, interactions: pl.DataFrame) -> Path:
    """Write a raw data set, whose ids must be whole numbers, as an archive in MovieLens-1M's layout."""
    year = pl.format(" ({})", "year").fill_null("")
    movies = items.select(
        pl.concat_str("item_id", pl.lit("::"), "title", year, pl.lit("::"), pl.col("genres").list.join("|"))
    )
    users = interactions.select(pl.format("{}::M::25::4::10001", pl.col("user_id").unique(maintain_order=True)))
    ratings = interactions.select(pl.format("{}::{}::{}::{}", "user_id", "item_id", "rating", "timestamp"))
    tables = {"movies.dat": movies, "users.dat": users, "ratings.dat": ratings}
    files = {
        name: "".join(f"{line}\n" for line in table.to_series()).encode("latin-1") for name, table in tables.items()
    }
    return write_archive(path, files)
