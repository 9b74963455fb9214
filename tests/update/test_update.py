"""`hierrec update`: several updates equal one update with all rows, and equal a rebuild."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner, Result
from hierrec import Recommender
from hierrec.cli import main
from hierrec.core.errors import DataError, ModelError, ParamsError
from hierrec.core.files import CHECKSUMS, seal, sha256_file
from hierrec.core.tables import load_interactions, load_items, load_users
from hierrec.encode.template import render
from hierrec.fusion.prefixes import prefix_states
from hierrec.ingest.dataset import Dataset
from hierrec.ingest.look import look
from hierrec.model.inputs import load_inputs
from hierrec.params import Params, load_params
from hierrec.rag.checkpoint import load_rag
from hierrec.rag.datastore import Datastore, Lookup
from hierrec.refit.refit import OFF
from hierrec.search.index import ItemIndex
from hierrec.store.store import EmbeddingStore
from hierrec.update.tables import _alike, extended_dataset
from hierrec.update.update import update

from tests.encode.encoders import item_encoder

ROOT = Path(__file__).parents[2]
Row = tuple[str, str, int]

LATE = 2_000_000_000
LOOKUP = Lookup(shortlist=8, overlap=0.3, neighbours=5, following=2, preceding=2)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def write(path: Path, header: str, rows: list[tuple]) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture(scope="module")
def params(sample_run: Path) -> Params:
    return load_params(sample_run / "params.yaml")


@pytest.fixture(scope="module")
def steps(artifacts: Path) -> list[tuple[list[Row], list[tuple]]]:
    """Two updates, each of interactions and items: longer histories, one changed in the middle, new users and items."""
    items, users = (
        load_items(artifacts / "data" / "items.parquet"),
        load_users(artifacts / "data" / "users.parquet"),
    )
    taken = load_interactions(artifacts / "data" / "interactions.parquet")
    times = pl.read_parquet(artifacts / "data" / "ratings.parquet")

    def not_taken(user: int, count: int) -> list[str]:
        seen = taken.filter(pl.col("user") == user)["item"].to_list()
        return [name for row, name in enumerate(items["item_id"]) if row not in seen][:count]

    first, second, third = (users["user_id"][row] for row in (0, 1, 2))
    middle = times.filter((pl.col("user") == 1) & (pl.col("position") == 4))["timestamp"][0]
    a, b = not_taken(0, 60), not_taken(1, 3)
    return [
        (
            [(first, item, LATE + number) for number, item in enumerate(a[:55])]
            + [("newcomer", "9001", LATE), ("newcomer", items["item_id"][3], LATE + 1)],
            [("9001", "A New Film", 2031, "Drama|Comedy")],
        ),
        (
            [
                (second, b[0], middle),
                (first, a[58], LATE + 99),
                ("newcomer", items["item_id"][7], LATE + 9),
                (third, "without-text", LATE),
                ("0", "10", LATE),
            ],
            [("10000", "Another", 2032, ""), ("9001", "Listed again", 2030, "")],
        ),
    ]


def tables(folder: Path, name: str, rows: list[Row], items: list[tuple]) -> tuple[Path, Path]:
    return (
        write(folder / f"{name}.csv", "user,item,timestamp", rows),
        write(folder / f"{name}-items.csv", "item,title,year,genres", items),
    )


@pytest.fixture(scope="module")
def live(artifacts: Path, params: Params, steps: list[tuple], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of the two updates, in order."""
    folder = tmp_path_factory.mktemp("live")
    for number, step in enumerate(steps):
        update(artifacts, params, *tables(folder, str(number), *step), folder / "live")
    return folder / "live"


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_two_updates_give_the_bytes_of_one(
    artifacts: Path, params: Params, steps: list[tuple], live: Path, tmp_path: Path
) -> None:
    before = hashes(artifacts)
    (rows, items), (more_rows, more_items) = steps
    update(
        artifacts,
        params,
        *tables(tmp_path, "all", rows + more_rows, items + more_items[:1]),
        tmp_path / "out",
    )
    assert hashes(tmp_path / "out") == hashes(live)
    assert hashes(artifacts) == before


def test_it_is_what_a_rebuild_with_the_same_weights_gives(artifacts: Path, live: Path) -> None:
    inputs = load_inputs(live / "data", live / "item_embeddings")
    scorer = load_rag(live / "models" / "rag", inputs, ItemIndex.open(live / "index", inputs.store_hash), torch.float32)
    assert (inputs.sequences.train_length == np.diff(inputs.sequences.offsets)).all()
    rebuilt = prefix_states(scorer.model, inputs.sequences)
    datastore = scorer.sources["next_items"]
    assert isinstance(datastore, Datastore)
    expected = Datastore.of(rebuilt.states, rebuilt.next_items, rebuilt.users, datastore.lookup)
    assert datastore.keys.tobytes() == expected.keys.tobytes()
    assert (datastore.next_items == expected.next_items).all()
    assert (datastore.users == expected.users).all()

    store, old = (EmbeddingStore.open(folder / "item_embeddings") for folder in (live, artifacts))
    texts = render(inputs.items, store.manifest["template"])
    assert store.items["text"].to_list() == texts
    encoder = item_encoder("t5-nano", store.manifest["max_length"])
    blank = np.array([not text for text in texts])
    assert store.vectors[~blank].tobytes() == encoder.encode(texts, 1024)[~blank].tobytes()
    assert [store.item_ids[row] for row in np.flatnonzero(blank)] == ["without-text"]
    assert (store.vectors[blank] == store.whitening.mean).all()
    assert (store.whitening.projection == old.whitening.projection).all()


def test_weights_stay_and_new_items_have_no_residual(artifacts: Path, live: Path) -> None:
    residuals = []
    for folder in (artifacts, live):
        inputs = load_inputs(folder / "data", folder / "item_embeddings")
        index = ItemIndex.open(folder / "index", inputs.store_hash)
        model = load_rag(folder / "models" / "rag", inputs, index).model
        table = model.members[0].items.residual.detach().numpy()
        residuals.append(dict(zip(inputs.items["item_id"], table, strict=True)))
    before, after = residuals
    assert set(after) - set(before) == {"9001", "10000", "without-text"}
    assert all((after[name] == row).all() for name, row in before.items())
    assert not any(after[name].any() for name in set(after) - set(before))


def test_the_new_are_served(live: Path) -> None:
    recommender = Recommender.load(live / "models" / "rag")
    newcomer = recommender.user("newcomer")
    assert newcomer.history[0].item_id == "9001"
    assert newcomer.history[0].title == "A New Film (2031)"
    assert len(newcomer.history) == 3
    scores = dict(zip(recommender.item_ids, recommender.score(recommender.user("1")), strict=True))
    assert np.isfinite([scores["10000"], scores["without-text"]]).all()
    shown = run("recommend", "--user", "newcomer", "-k", "3", "--json", "--artifacts", str(live))
    assert [item["item_id"] for item in json.loads(shown.stdout)["recommended"]] == [
        item.item_id for item in recommender.recommend(newcomer, k=3)
    ]
    assert run("similar", "A New Film", "--artifacts", str(live)).exit_code == 0


def test_the_command_goes_on_from_what_it_wrote(
    sample_run: Path,
    tmp_path: Path,
) -> None:
    root = tmp_path / "project"
    shutil.copytree(sample_run / "artifacts", root / "artifacts")
    shutil.copy(sample_run / "params.yaml", root)
    arguments = ["update", "--artifacts", str(root / "artifacts"), "--interactions"]
    for name in ("anna", "ben"):
        new = write(tmp_path / f"{name}.csv", "customer id,product_id,date", [(name, "1", "2031-01-01")])
        done = run(*arguments, str(new))
        assert done.exit_code == 0, done.output
        assert done.output.startswith("1 interactions, 1 users and 0 items more; 0 texts encoded")
    users = load_users(root / "artifacts" / "live" / "data" / "users.parquet")["user_id"]
    assert {"anna", "ben"} <= set(users)
    url = run(*arguments, "http://127.0.0.1/new.csv")
    assert "http://127.0.0.1/new.csv: URLs are not read here" in url.stderr
    again = run(*arguments, str(tmp_path / "ben.csv"))
    assert again.exit_code == 1
    assert "ben.csv: user 'ben' has item '1' in the data already" in again.stderr
    (tmp_path / "days").mkdir()
    for name in ("carl", "dora"):
        write(tmp_path / "days" / f"{name}.csv", "customer id,product_id,date", [(name, "1", "2031-01-01")])
    both = run(*arguments, str(tmp_path / "days"))
    assert both.output.startswith("2 interactions, 2 users and 0 items more")
    gone = run(*arguments, str(tmp_path / "gone.csv"))
    assert "gone.csv: no such file" in gone.stderr
    assert "correct --interactions" in gone.stderr


def test_users_whose_prefixes_were_left_out_stay_so_and_new_users_are_remembered(
    artifacts: Path, params: Params, steps: list[tuple], tmp_path: Path
) -> None:
    base = shutil.copytree(artifacts, tmp_path / "artifacts", symlinks=True)
    folder = base / "models" / "rag"
    datastore = Datastore.open(folder / "datastore", LOOKUP)
    kept = datastore.users % 3 == 1
    shutil.rmtree(folder / "datastore")
    Datastore(datastore.keys[kept], datastore.next_items[kept], datastore.users[kept], LOOKUP).write(
        folder / "datastore"
    )
    (folder / CHECKSUMS).unlink()
    seal(folder)
    update(base, params, *tables(tmp_path, "new", *steps[0]), tmp_path / "out")
    inputs = load_inputs(tmp_path / "out" / "data", tmp_path / "out" / "item_embeddings")
    names = load_users(tmp_path / "out" / "data" / "users.parquet")["user_id"]
    before = load_users(base / "data" / "users.parquet")["user_id"].to_list()
    grown_store = Datastore.open(tmp_path / "out" / "models" / "rag" / "datastore", LOOKUP)
    expected = {before[user] for user in set(datastore.users[kept])} | {"newcomer"}
    assert {names[int(user)] for user in set(grown_store.users)} == expected
    lengths = np.diff(inputs.sequences.offsets)
    counts = np.bincount(grown_store.users, minlength=len(names))
    assert all(counts[user] == lengths[user] - 1 for user in set(grown_store.users))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("user,thing,timestamp\nann,1,5\n", "column item is missing; there are 'user', 'thing'"),
        (f"user,item,timestamp\nann,1,{LATE}\nann,1,{LATE}\n", "row 2"),
        (f"user,item,timestamp\nann,,{LATE}\n", "an id is missing"),
        ("user,item,timestamp\nann,1,17\n", "no times since 1970"),
        (
            "user,item,timestamp\nann,1,2031-01-01T00:00:00.5\n",
            "2031-01-01 00:00:00 and a fraction are finer than those of the data, which are whole seconds",
        ),
        (f"user,item,timestamp\nann,1,{LATE}.5\n", "are fractions, but those of the data are whole"),
    ],
)
def test_malformed_rows_are_refused_and_nothing_is_written(
    artifacts: Path, params: Params, tmp_path: Path, rows: str, message: str
) -> None:
    (tmp_path / "new.csv").write_text(rows)
    with pytest.raises(DataError, match=message) as error:
        update(artifacts, params, tmp_path / "new.csv", None, tmp_path / "out")
    assert "new.csv" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_where_nothing_was_fitted_again_the_measured_model_is_extended(
    artifacts: Path, params: Params, tmp_path: Path
) -> None:
    shutil.copytree(artifacts, tmp_path / "artifacts")
    (tmp_path / "artifacts" / "models" / "final").mkdir()
    (tmp_path / "artifacts" / "models" / "final" / OFF).write_text("as train@final leaves it")
    new = write(tmp_path / "new.csv", "user,item,timestamp", [("ann", "1", LATE)])
    update(tmp_path / "artifacts", params, new, None, tmp_path / "out")
    assert [folder.name for folder in (tmp_path / "out" / "models").iterdir()] == ["rag"]
    for variant in ("rag", "hierarchical"):
        assert Recommender.load(tmp_path / "out", variant=variant).variant == variant


def test_times_come_in_the_unit_of_the_data(artifacts: Path, params: Params, tmp_path: Path) -> None:
    stamps = []
    for name, moment in (("s", LATE), ("ms", LATE * 1000), ("iso", "2033-05-18T03:33:20Z")):
        new = write(tmp_path / f"{name}.csv", "user,item,timestamp", [("ann", "1", moment)])
        stamps.append(extended_dataset(artifacts / "data", new, None, params.ingest)[0].ratings["timestamp"].max())
    assert stamps == [LATE] * 3
    seconds, data = (pl.Series([LATE * 1000**power]) for power in (0, 2))
    assert _alike(seconds, data, tmp_path).equals(data)


def test_at_equal_times_the_interactions_of_the_data_come_first(
    artifacts: Path, params: Params, tmp_path: Path
) -> None:
    known = pl.read_parquet(artifacts / "data" / "ratings.parquet").filter(pl.col("user") == 0)["timestamp"]
    user = load_users(artifacts / "data" / "users.parquet")["user_id"][0]
    new = write(tmp_path / "new.csv", "user,item,timestamp", [(user, "new", known[3])])
    dataset, _ = extended_dataset(artifacts / "data", new, None, params.ingest)
    row = dataset.items.filter(pl.col("item_id") == "new")["row"].item()
    places = dataset.interactions.filter(pl.col("item") == row)["position"].to_list()
    assert places == [(known <= known[3]).sum()]


def test_repeats_follow_the_params(artifacts: Path, params: Params, tmp_path: Path) -> None:
    users, items = (
        load(artifacts / "data" / f"{name}.parquet") for name, load in [("users", load_users), ("items", load_items)]
    )
    taken = load_interactions(artifacts / "data" / "interactions.parquet")
    again = [(users["user_id"][0], items["item_id"][taken["item"][0]], LATE)]
    new = write(tmp_path / "again.csv", "user,item,timestamp", again)
    with pytest.raises(DataError, match=r"has item .* in the data already"):
        extended_dataset(artifacts / "data", new, None, params.ingest)
    files = params.ingest.model_copy(update={"dataset": "files", "repeats": "keep"})
    kept, notes = extended_dataset(artifacts / "data", new, None, files)
    assert len(kept.interactions) == len(taken) + 1
    assert "repeated" not in kept.split.columns  # else items of every history would be recommended
    assert [note.partition(";")[0] for note in notes] == ["users take an item again"]
    last, notes = extended_dataset(artifacts / "data", new, None, files.model_copy(update={"repeats": "last"}))
    assert len(last.interactions) == len(taken)
    assert notes == ["1 rows left out by ingest.repeats"]


def test_what_ingest_would_warn_of_is_said(artifacts: Path, params: Params, tmp_path: Path) -> None:
    items = write(tmp_path / "items.csv", "item,when", [("n", LATE), ("m", LATE)])
    new = write(tmp_path / "new.csv", "user,item,timestamp", [("null", "o", LATE), ("null", "n", LATE)])
    _, notes = extended_dataset(artifacts / "data", new, items, params.ingest)
    assert notes == [
        "user 'null' has 2 interactions; if this stands for a missing id, leave them out by ingest.where",
        "1 items, such as 'o', are in no table: added without text",
        f"2 new items of {items}, such as 'n', have no text",
    ]


def test_rows_without_effect_are_counted(artifacts: Path, params: Params, tmp_path: Path) -> None:
    known = load_items(artifacts / "data" / "items.parquet")["item_id"][0]
    items = write(tmp_path / "items.csv", "item,title", [(known, "Another title"), ("n", "New")])
    rows = [("ann", "n", LATE, 5), ("ann", "n", LATE + 1, 5), ("bob", "n", LATE, 5), ("cid", "n", LATE, 1)]
    new = write(tmp_path / "new.csv", "user,item,timestamp,rating", rows)
    settings = {"dataset": "files", "repeats": "first", "where": "\"user\" <> 'bob'", "min_rating": 2}
    files = params.ingest.model_copy(update=settings)
    dataset, notes = extended_dataset(artifacts / "data", new, items, files)
    assert notes == [
        "1 rows left out by ingest.where",
        "1 rows left out by ingest.min_rating",
        "1 rows left out by ingest.repeats",
        f"1 items of {items} are in the data already: their texts stay as they are until a training",
    ]
    before = Dataset.read(artifacts / "data", {}, {})
    assert dataset.counts["interactions"] == before.counts["interactions"] + 1
    assert not [line for line in look(dataset) if "test target: metrics" in line]  # nothing is held out


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("", "file is empty"),
        ("user,item,timestamp\n", "table has no rows"),
        (f"user,item,timestamp\nskip,1,{LATE}\n", "ingest.where keeps none of the rows"),
    ],
)
def test_a_day_without_interactions_adds_nothing(
    artifacts: Path, params: Params, tmp_path: Path, text: str, note: str
) -> None:
    new, items = tmp_path / "new.csv", write(tmp_path / "items.csv", "item,title", [])
    new.write_text(text)
    files = params.ingest.model_copy(update={"dataset": "files", "where": "\"user\" <> 'skip'"})
    settings = params.model_copy(update={"ingest": files})
    summary = update(artifacts, settings, new, items, tmp_path / "out")
    assert summary[0] == "0 interactions, 0 users and 0 items more; 0 texts encoded"
    assert summary[1:3] == [f"{new}: {note}", f"{items}: table has no rows"]
    for name in ("interactions", "items", "users"):
        table = f"data/{name}.parquet"
        assert pl.read_parquet(tmp_path / "out" / table).equals(pl.read_parquet(artifacts / table))


def test_what_does_not_belong_together_is_refused(artifacts: Path, params: Params, live: Path, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="nothing to add"):
        update(artifacts, params, None, None, tmp_path / "out")
    new = write(tmp_path / "new.csv", "user,item,timestamp", [("ann", "1", LATE)])
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match=r"(?s)no folder that `hierrec update` wrote.*another folder: --out"):
        update(artifacts, params, new, None, tmp_path / "mine")
    shutil.copytree(live, tmp_path / "live")
    record = json.loads((tmp_path / "live" / "live.json").read_text())
    (tmp_path / "live" / "live.json").write_text(json.dumps({**record, "made_of": "0" * 64}))
    with pytest.raises(DataError, match="was not made from the model"):
        update(artifacts, params, new, None, tmp_path / "live")
    with pytest.raises(DataError, match=r"(?s)written by `hierrec update`.*folder of the stages"):
        update(live, params, new, None)
    for out in (artifacts / "data" / "live", artifacts / "live" / ".." / "data"):
        with pytest.raises(DataError, match="lies in a folder that a stage writes"):
            update(artifacts, params, new, None, out)
    with pytest.raises(DataError, match="artifacts are missing"):
        update(tmp_path / "nowhere", params, new, None)
    assert not (tmp_path / "nowhere").exists()
    items = write(tmp_path / "items.csv", "item,title", [("n", "New")])
    other = params.model_copy(update={"encode": params.encode.model_copy(update={"model": "gone"})})
    with pytest.raises(ModelError):
        update(artifacts, other, None, items, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("shared_imports")
def test_a_kill_leaves_the_old_state_or_the_new(artifacts: Path, sample_run: Path, live: Path, tmp_path: Path) -> None:
    shutil.copytree(live, tmp_path / "artifacts" / "live")
    new = write(tmp_path / "new.csv", "user,item,timestamp", [("ann", "1", LATE)])
    command = [
        sys.executable,
        "-m",
        "tests.update.killed",
        artifacts,
        sample_run / "params.yaml",
        new,
        tmp_path,
    ]
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    states = done.stdout.split()
    assert states == sorted(states, reverse=True)
    assert states[0] == "old"
    assert states[-1] == "new"
