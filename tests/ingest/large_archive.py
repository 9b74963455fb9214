"""Time and memory of ingesting a generated archive in the layout of MovieLens-25M.

`python -m tests.ingest.large_archive RATINGS` prints the ratings, the seconds and the peak of resident memory.
"""

import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

USERS, MOVIES = 162_541, 62_423
BLOCK = 2**20


def write_large_archive(path: Path, ratings: int, users: int, movies: int) -> None:
    """Write an archive of `ratings` ratings: no user rates a movie twice; half stars, random times."""
    rng = np.random.default_rng(1)
    each = -(-ratings // users)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        rows = "".join(
            f'{number},"Film {number}, The ({1900 + number % 120})",Drama|War\n' for number in range(1, movies + 1)
        )
        archive.writestr("ml-25m/movies.csv", "movieId,title,genres\n" + rows)
        with archive.open("ml-25m/ratings.csv", "w", force_zip64=True) as file:
            file.write(b"userId,movieId,rating,timestamp\n")
            for start in range(0, ratings, BLOCK):
                row = np.arange(start, min(start + BLOCK, ratings))
                user = row // each
                table = pl.DataFrame(
                    {
                        "user": user + 1,
                        "movie": (user * 7919 + row % each * 61) % movies + 1,
                        "rating": rng.integers(1, 11, len(row)) / 2,
                        "time": rng.integers(800_000_000, 1_570_000_000, len(row)),
                    }
                )
                file.write(table.write_csv(include_header=False).encode())


def main() -> None:
    ratings = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ml-25m.zip"
        write_large_archive(path, ratings, min(USERS, -(-ratings // 100)), MOVIES)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        from hierrec.ingest.dataset import build
        from hierrec.ingest.look import look
        from hierrec.ingest.movielens import read_movielens

        start = time.perf_counter()
        dataset = build(read_movielens(path))
        dataset.write(Path(folder) / "data")
        look(dataset)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{dataset.counts}: {seconds:.0f} s, peak {peak / 1024:.0f} MiB (generator: {before / 1024:.0f} MiB)")


if __name__ == "__main__":
    main()
