"""Stage 1: an archive or the embedded sample becomes items, users, interactions and a leave-one-out split."""

from hierrec.data.dataset import build
from hierrec.data.download import fetch
from hierrec.data.movielens import read_movielens
from hierrec.data.sample import sample_dataset
from hierrec.files import write_json
from hierrec.params import IngestParams

from stages.stage import DATA, METRICS, Summary, cache_dir, stage


@stage("ingest")
def main(ingest: IngestParams) -> Summary:
    if ingest.dataset == "sample":
        raw = sample_dataset()
    else:
        raw = read_movielens(fetch(ingest.archive, ingest.md5, cache_dir("downloads")), ingest.expected)
    dataset = build(raw, ingest.candidates)
    dataset.write(DATA)
    write_json(METRICS / "data.json", dataset.counts)
    counts = dataset.counts
    held_out = dataset.split["test"].count()
    return [
        f"{dataset.name}: {counts['interactions']:,} interactions of {counts['users']:,} users",
        f"{counts['items']:,} items listed, {counts['candidates']:,} of them candidates for ranking",
        f"{held_out:,} users with a validation and a test target; tables in {DATA}/",
    ]


if __name__ == "__main__":
    main()
