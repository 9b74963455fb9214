"""ingest: an archive, tables or the embedded sample become items, users, interactions and a split."""

from dataclasses import replace
from pathlib import Path

from hierrec.core.files import cache_dir, write_details
from hierrec.core.stage import DATA, METRICS, Stage, Summary
from hierrec.ingest.dataset import build, refuse_unlearnable
from hierrec.ingest.download import fetch, fetch_parts
from hierrec.ingest.event_log import RawDataset
from hierrec.ingest.item_files import add_item_text
from hierrec.ingest.look import look
from hierrec.ingest.movielens import read_movielens
from hierrec.ingest.own_files import read_files
from hierrec.ingest.params import IngestParams
from hierrec.ingest.row_filters import filtered
from hierrec.ingest.sample import sample_dataset
from hierrec.ingest.time_split import TimeSplit


@Stage
def main(ingest: IngestParams) -> Summary:
    raw = _read(ingest)
    if ingest.item_text is not None:
        path = fetch(ingest.item_text, ingest.item_text_md5, cache_dir("downloads"), key="item_text")
        raw = add_item_text(raw, path, ingest.clean_text, ingest.encoding)
    by_time = None
    if ingest.split == "time":
        by_time = TimeSplit(ingest.validation_from, ingest.test_from, ingest.targets == "all")
    repeats = ingest.repeats if ingest.dataset == "files" else "refuse"
    dataset = build(raw, ingest.candidates, repeats, by_time)
    refuse_unlearnable(dataset)
    dataset.write(DATA)
    write_details(METRICS / "data.json", {**dataset.counts, **dataset.more_counts})
    held_out = dataset.split["test"].count()
    # Without the checksums, DVC sees no change of the files.
    checksums = ((f"{key}_md5", md5) for key, md5 in raw.checksums.items())
    lacking = [f"{param}: {md5}" for param, md5 in checksums if getattr(ingest, param) is None]
    return [
        *look(dataset),
        *raw.notes,
        f"{held_out:,} users with a {'' if dataset.cut else 'validation and a '}test target; tables in {DATA}/",
        *([f"to let DVC see changes of these files, set in ingest: {', '.join(lacking)}"] if lacking else []),
    ]


def _read(ingest: IngestParams) -> RawDataset:
    """Read the data set, and leave out the rows that do not count."""
    if ingest.dataset == "files":
        items = None if ingest.items is None else _files(ingest, "items")
        return read_files(_files(ingest, "interactions"), items, ingest)
    if ingest.dataset == "sample":
        raw = sample_dataset()
    else:
        raw = read_movielens(fetch(ingest.archive, ingest.md5, cache_dir("downloads")), ingest.expected)
    log, removed = filtered(raw.interactions, ingest, "refuse")
    return replace(raw, interactions=log, removed=removed)


def _files(ingest: IngestParams, key: str) -> list[Path]:
    """Return the files of the table that the param `ingest.<key>` names, with the checksum of `ingest.<key>_md5`."""
    return fetch_parts(getattr(ingest, key), getattr(ingest, f"{key}_md5"), cache_dir("downloads"), key)


if __name__ == "__main__":
    main()
