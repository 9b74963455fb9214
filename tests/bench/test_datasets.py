"""Data sets by their params: valid files, results beside each other, runs that go on, the README's table."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hierrec.core.files import read_json, write_json
from hierrec.ingest.params import IngestParams
from hierrec.params import load_params

from bench.datasets.__main__ import main
from bench.datasets.results import RESULTS, add
from bench.datasets.run import run_stages
from bench.datasets.settings import load, names
from bench.datasets.table import TITLES, table
from stages.workspace import ROOT, set_params

KEEPS_REPEATS = pytest.mark.skipif(
    "repeats" not in IngestParams.model_fields, reason="ingest.repeats does not exist yet"
)
FAILS_ONCE = """
from pathlib import Path
try:
    Path("tried").touch(exist_ok=False)
except FileExistsError:
    raise SystemExit(0)
raise SystemExit(1)
"""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[KEEPS_REPEATS] if name == "retail" else []) for name in names()]
)
def test_the_params_are_valid_and_name_files_in_the_folder(name: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    set_params(tmp_path / "params.yaml", load(name).overrides(tmp_path / "here"))
    ingest = load_params(tmp_path / "params.yaml").ingest
    read = [ingest.interactions, ingest.items] if ingest.dataset == "files" else [ingest.archive]
    assert {Path(path or "").parent for path in read} == {tmp_path / "here"}


def test_every_data_set_has_a_title() -> None:
    assert set(names()) == set(TITLES)


def test_a_result_is_added_and_the_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    add("first", {"rag": {"ndcg@10": 0.1}}, out)
    add("second", {"rag": {"ndcg@10": 0.2}}, out)
    add("second", {"rag": {"ndcg@10": 0.3}}, out)
    assert read_json(out) == {"first": {"rag": {"ndcg@10": 0.1}}, "second": {"rag": {"ndcg@10": 0.3}}}


def test_a_run_that_was_made_is_recorded_without_costs(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = CliRunner().invoke(main, ["ml-1m", "--run", str(ROOT), "--out", str(out)])
    assert done.exit_code == 0, done.output
    recorded = read_json(out)["ml-1m"]
    assert recorded["rag"] == read_json(ROOT / "artifacts/metrics/rag.json")["test"]
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
    done = CliRunner().invoke(
        main, ["beauty", "--data", str(data), "--work", str(tmp_path / "run"), "--out", str(out)]
    )
    assert done.exit_code == 1
    assert "Error: stages.ingest ended with status 1, see above; the same command goes on" in done.output
    assert not out.exists()


def test_the_readme_says_what_the_results_say() -> None:
    assert table(read_json(RESULTS)) in (ROOT / "README.md").read_text("utf-8")
