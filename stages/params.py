"""params: check all of params.yaml before DVC removes the outputs of other stages.

For `dataset: files`, the columns of local tables are checked too.
"""

from contextlib import suppress
from pathlib import Path

from hierrec.core.errors import DownloadError, HierrecError
from hierrec.core.files import atomic_path, cache_dir
from hierrec.core.stage import ARTIFACTS, Stage, Summary
from hierrec.ingest.params import IngestParams
from hierrec.params import load_params
from ruamel.yaml import YAML, YAMLError

WRITTEN = ARTIFACTS / "params.txt"


@Stage
def main() -> Summary:
    """Write a file that is always the same, so that no later stage runs because of it."""
    ingest = load_params(Path("params.yaml")).ingest
    if ingest.dataset == "files":
        _check_files(ingest)
    with atomic_path(WRITTEN) as temporary:
        temporary.write_text("params.yaml is valid\n", "utf-8")
    return ["params.yaml is valid"]


def _check_files(ingest: IngestParams) -> None:
    """Check the columns of each table that is on this machine with the checksum of the params.

    A missing table is an error only if `ingest` will read it: because its params have changed since it ran.
    """
    from hierrec.ingest.download import fetch_parts  # these import polars
    from hierrec.ingest.item_files import check_item_columns
    from hierrec.ingest.own_files import check_columns

    cache, changed = cache_dir("downloads"), _changed()
    for key, check in (("interactions", check_columns), ("items", check_item_columns)):
        source, md5 = getattr(ingest, key), getattr(ingest, f"{key}_md5")
        if source is None or "://" in source:
            continue
        with suppress(*(() if changed else (DownloadError,))):
            paths = fetch_parts(source, None, cache, key)
            with suppress(DownloadError):  # another table is for `ingest` to refuse
                try:
                    check(paths, ingest)
                except HierrecError:  # only now is the whole table read, for its checksum
                    fetch_parts(source, md5, cache, key)
                    raise


def _changed() -> bool:
    """Return whether section `ingest` differs from the one in dvc.lock, so that `ingest` will run."""
    yaml = YAML(typ="safe")
    try:
        locked = yaml.load(Path("dvc.lock"))["stages"]["ingest"]["params"]["params.yaml"]["ingest"]
    except (OSError, YAMLError, KeyError, TypeError):
        return True
    return locked != yaml.load(Path("params.yaml"))["ingest"]


if __name__ == "__main__":
    main()
