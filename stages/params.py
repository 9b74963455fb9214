"""params: the whole of params.yaml is checked before DVC removes what any other stage has written.

So are the columns of a table of one's own, if the table lies on this machine.
"""

from contextlib import suppress
from pathlib import Path

from hierrec.core.errors import DownloadError, HierrecError
from hierrec.core.files import atomic_path, cache_dir
from hierrec.core.stage import ARTIFACTS, Stage, Summary
from hierrec.ingest.params import IngestParams
from hierrec.params import load_params

WRITTEN = ARTIFACTS / "params.txt"


@Stage
def main() -> Summary:
    """Write a file that is always the same, so that no later stage runs because of it."""
    ingest = load_params(Path("params.yaml")).ingest
    if ingest.dataset == "files" and ingest.interactions and "://" not in ingest.interactions:
        _check_files(ingest.interactions, ingest)
    with atomic_path(WRITTEN) as temporary:
        temporary.write_text("params.yaml is valid\n", "utf-8")
    return ["params.yaml is valid"]


def _check_files(interactions: str, ingest: IngestParams) -> None:
    """Check the interactions' columns, if the table of `ingest.interactions_md5` is on this machine."""
    from hierrec.ingest.download import fetch_parts  # these import polars
    from hierrec.ingest.own_files import check_columns

    with suppress(
        DownloadError
    ):  # it may be missing, or another table: only `ingest` needs it, if it runs again
        cache = cache_dir("downloads")
        paths = fetch_parts(interactions, None, cache, "interactions")
        try:
            check_columns(paths, ingest)
        except HierrecError:  # only now is the whole table read, for its checksum
            fetch_parts(interactions, ingest.interactions_md5, cache, "interactions")
            raise


if __name__ == "__main__":
    main()
