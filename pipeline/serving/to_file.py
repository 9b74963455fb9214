"""Recommendations for many users of the data, in blocks; after a kill, the next run continues."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Unpack

import polars as pl

from ..core.errors import DataError, ParamsError
from ..core.files import alone_beside, atomic_path, sha256_json
from ..core.progress import track
from .answers import Item
from .recommend import Recommender
from .rules import Rules

BLOCK = 1024  # users of a part: a killed run computes at most so many again
# Polars' writer for each suffix of the file.
WRITERS = {".parquet": pl.LazyFrame.sink_parquet, ".csv": pl.LazyFrame.sink_csv, ".jsonl": pl.LazyFrame.sink_ndjson}


def read_users(path: Path) -> list[str]:
    """Read the ids of users, one on each line, each once; raise ``DataError`` if the file has none or is not UTF-8."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot be read ({error})", str(path), "write a text file in UTF-8, an id on each line"
        ) from None
    if not (ids := list(dict.fromkeys(filter(None, (line.strip(" \u00a0\r") for line in lines))))):
        raise DataError("holds no user", str(path), "write an id on each line")
    return ids


def write_recommendations(
    recommender: Recommender,
    out: Path,
    artifacts: Sequence[Path],
    k: int,
    users: Sequence[str],
    **rules: Unpack[Rules],
) -> int:
    """Write the recommendations for `users` to a file: the columns of `Recommender.recommend_table` but `history`.

    Each block becomes a part in a hidden folder beside the file. A killed run leaves the folder; the next run with the
    same arguments continues after its parts. At the end the parts become the file, and the folder is removed. Several
    runs that write into one folder wait for each other.

    The suffix of `out`, one of `WRITERS`, says its format. `artifacts` are the folders that the recommender was read
    from; after a change of a file there, a run starts anew. Returns the number of rows, at most k >= 1 for each user.

    Raises as `Recommender.recommend`, and ``ParamsError`` if there is no format of that suffix.
    """
    if out.suffix not in WRITERS:
        known = ", ".join(WRITERS)
        raise ParamsError(f"there is no format {out.suffix!r}", str(out), f"end the name with one of {known}")
    files = sorted(path for folder in artifacts for path in folder.rglob("*") if path.is_file())
    versions = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    asked = {name: _plain(value) for name, value in rules.items()}
    question = sha256_json([versions, recommender.variant, BLOCK, k, asked, *users])
    folder = out.with_name(f".{out.name}.parts")
    known = set(recommender.user_ids)
    for user in (user for user in users if user not in known):
        recommender.user(user)  # an error before the first block
    starts = range(0, len(users), BLOCK)
    parts = {folder / f"{question}-{start:09}.parquet": users[start : start + BLOCK] for start in starts}
    with alone_beside(folder):
        missing = {part: block for part, block in parts.items() if not part.exists()}
        done = len(users) - sum(map(len, missing.values()))
        with track(total=len(users), initial=done, desc="recommend", unit="user") as bar:
            for part, block in missing.items():
                asked = [recommender.user(user) for user in block]
                found = recommender.recommend_table(asked, k, **rules).drop("history")
                with atomic_path(part) as temporary:  # which makes the folder
                    found.write_parquet(temporary)
                bar.update(len(block))
        table = pl.scan_parquet(list(parts))
        with atomic_path(out) as temporary:
            WRITERS[out.suffix](table, temporary)
        written = table.select(pl.len()).collect().item()
        shutil.rmtree(folder, ignore_errors=True)  # the file is complete
    return written


def _plain(rule: object) -> object:
    """Return the value of a rule for JSON: a list of items as their ids or titles."""
    if isinstance(rule, str) or not isinstance(rule, Iterable):
        return rule
    return [str(item.item_id if isinstance(item, Item) else item) for item in rule]
