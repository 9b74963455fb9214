"""The bench of data sets: valid params, collected results, resumed runs, and the README's table."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hierrec.core import VARIANTS
from hierrec.core.errors import DataError
from hierrec.core.files import read_details, read_json, write_json
from hierrec.params import load_params

from bench.datasets.__main__ import main
from bench.datasets.results import RESULTS, add, result
from bench.datasets.run import run_stages
from bench.datasets.settings import HERE, load, names
from bench.datasets.table import PEERS, TITLES, cost_table, table
from stages.workspace import ROOT, set_params

FAILS_ONCE = """
from pathlib import Path
try:
    Path("tried").touch(exist_ok=False)
except FileExistsError:
    raise SystemExit(0)
raise SystemExit(1)
"""


@pytest.mark.parametrize("name", names())
def test_the_params_are_valid_and_name_files_in_the_folder(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    set_params(tmp_path / "params.yaml", load(name).overrides(tmp_path / "here"))
    ingest = load_params(tmp_path / "params.yaml").ingest
    read = [ingest.interactions, ingest.items] if ingest.dataset == "files" else [ingest.archive]
    assert {Path(path).parent for path in read if path} == {tmp_path / "here"}


def test_every_data_set_has_a_title() -> None:
    assert set(names()) == set(TITLES)


def test_a_result_is_added_and_the_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    add("first", {"rag": {"ndcg@10": 0.1}}, out)
    add("second", {"rag": {"ndcg@10": 0.2}}, out)
    add("second", {"peers": {"one": {"ndcg@10": 0.4}}}, out)
    add("second", {"rag": {"ndcg@10": 0.3}}, out)
    second = {"rag": {"ndcg@10": 0.3}, "peers": {"one": {"ndcg@10": 0.4}}}
    assert read_json(out) == {"first": {"rag": {"ndcg@10": 0.1}}, "second": second}


def test_a_run_without_a_variant_is_no_result(tmp_path: Path) -> None:
    metrics = shutil.copytree(ROOT / "artifacts/metrics", tmp_path / "artifacts/metrics")
    assert set(VARIANTS) < set(result(tmp_path, load("ml-1m")))
    (metrics / "rag.json").unlink()
    with pytest.raises(DataError, match=r"rag\.json"):
        result(tmp_path, load("ml-1m"))


def test_with_repeats_new_and_repeated_targets_stand_apart(tmp_path: Path) -> None:
    metrics = shutil.copytree(ROOT / "artifacts/metrics", tmp_path / "artifacts/metrics")
    measured = read_details(metrics / "rag.json")
    assert "by_target" not in result(tmp_path, load("retail"))["rag"]
    by_target = {"new": {"ndcg@10": 0.1, "users": 3}, "repeated": {"ndcg@10": 0.5, "users": 2}}
    write_json(metrics / "rag.json", {**measured, "slices": {"target": by_target}})
    assert result(tmp_path, load("retail"))["rag"] == {**measured["test"], "by_target": by_target}


def test_the_table_says_what_was_cut_short_and_leaves_cells_empty() -> None:
    figures = {"ndcg@10": 0.1, "recall@10": 0.2}
    stopped = {**figures, "stopped_by": "seconds", "epochs": 5}
    capped = {"params": {"train.epochs": 7}, "rag": figures, "peers": {PEERS["sasrec"]: stopped}}
    head, _, *rows = table({"retail": capped}).splitlines()
    assert head.endswith("| Online Retail (at most 7 epochs) |")
    assert [row for row in rows if "(published)" not in row] == [
        "| `rag` | 0.1000 / 0.2000 |",
        "| SASRec, sampled softmax (RecTools, run here) | 0.1000 / 0.2000 (stopped in epoch 5) |",
    ]


def test_a_run_that_was_made_is_recorded_without_costs(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = CliRunner().invoke(main, ["ml-1m", "--run", str(ROOT), "--out", str(out)])
    assert done.exit_code == 0, done.output
    recorded = read_json(out)["ml-1m"]
    assert recorded["rag"] == read_details(ROOT / "artifacts/metrics/rag.json")["test"]
    assert recorded["counts"]["users"] == 6040
    assert recorded["seconds"] is None


def test_a_run_that_stopped_goes_on_after_its_last_stage(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {one: {}, two: {}, evaluate_report: {}}", "utf-8")
    (tmp_path / "stages" / "one.py").write_text("open('ran', 'a').write('one ')", "utf-8")
    (tmp_path / "stages" / "two.py").write_text(FAILS_ONCE, "utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        run_stages(tmp_path)
    costs = run_stages(tmp_path)
    assert (tmp_path / "ran").read_text("utf-8") == "one "
    assert list(costs) == ["one", "two"]
    assert all(cost["peak_mib"] > 0 for cost in costs.values())


def test_a_run_of_other_params_does_not_go_on(tmp_path: Path) -> None:
    write_json(tmp_path / "overrides.json", load("beauty").overrides(tmp_path / "elsewhere"))
    done = CliRunner().invoke(main, ["beauty", "--data", str(tmp_path), "--work", str(tmp_path)])
    assert (done.exit_code, "one of other params" in done.output) == (2, True)


def test_a_stage_that_fails_is_one_line(tmp_path: Path) -> None:
    data, out = tmp_path / "empty", tmp_path / "results.json"
    data.mkdir()
    done = CliRunner().invoke(main, ["beauty", "--data", str(data), "--work", str(tmp_path / "run"), "--out", str(out)])
    assert done.exit_code == 1
    assert "Error: stages.params ended with status 1, see above; the same command goes on" in done.output
    assert not out.exists()


def test_the_readmes_say_what_the_results_say() -> None:
    results = read_json(RESULTS)
    assert table(results) in (ROOT / "README.md").read_text("utf-8")
    assert cost_table(results) in (ROOT / "bench" / "README.md").read_text("utf-8")


def test_the_table_of_costs_sums_seconds_and_takes_the_largest_memory() -> None:
    stages = {"cpu_seconds": (1.0, 2.4), "seconds": (3.0, 1000.0), "peak_mib": (2000, 7)}
    measured = {cost: dict(zip(("train_rag", "encode"), values, strict=True)) for cost, values in stages.items()}
    shown = cost_table({"beauty": {**measured, "params": {}}, "ml-1m": {"seconds": None, "params": {}}})
    assert shown.splitlines() == [
        "| CPU seconds / seconds / peak MiB | Beauty |",
        "| --- | --- |",
        "| `encode` | 2 / 1,000 / 7 |",
        "| `train_rag` | 1 / 3 / 2,000 |",
        "| all | 3 / 1,003 / 2,000 |",
    ]


def test_the_docs_show_the_file_of_a_data_set_as_it_is() -> None:
    lines = (HERE / "beauty.yaml").read_text("utf-8").splitlines()
    shown = "\n".join(line for line in lines if not line.startswith("#"))
    assert f"```yaml\n{shown}\n```" in (ROOT / "docs" / "own-data.md").read_text("utf-8")
