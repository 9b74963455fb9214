"""The table has a line for every run: its figures over seeds, or why there are none."""

from pathlib import Path
from typing import Any

import pytest
from hierrec.core.files import write_json

from bench.ablation.markdown import render
from bench.ablation.settings import Settings
from bench.ablation.table import collect

METRICS = ("ndcg@10", "ndcg@20", "recall@10", "recall@20")


def result(value: float) -> dict[str, Any]:
    return {
        "validation": dict.fromkeys(METRICS, value),
        "test": dict.fromkeys(METRICS, 2 * value),
        "parameters": 1234,
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed, value in ((1, 0.1), (2, 0.2), (3, 0.3)):
        write_json(tmp_path / f"runs/default/default-{seed}.json", result(value))
        write_json(tmp_path / f"costs/default/default-{seed}.json", {"train_cpu_seconds": 10.0 * seed, "threads": 1})
    write_json(tmp_path / "runs/default/pooling_last-1.json", {"same_as": "default"})
    write_json(tmp_path / "runs/minilm-abstracts/text_only_252-1.json", {"skipped": "there are no abstracts"})
    recalls = {ranking: {"model": 0.5, "tf_idf": 0.25, "random": 0.03} for ranking in ("all", "cold", "warm")}
    write_json(tmp_path / "cold/default-1.json", {"validation": recalls, "test": recalls, "cold_items": 370})
    return tmp_path


def test_figures_are_means_with_deviations(settings: Settings, results: Path) -> None:
    table, _ = collect(settings, results)
    run = table["runs"]["default/default"]
    assert run["seeds"] == 3
    assert run["parameters"] == 1234
    assert run["validation"]["ndcg@10"] == {"mean": 0.2, "sd": 0.1}
    assert run["train_cpu_seconds"] == {"mean": 20.0, "sd": 10.0}
    assert table["cold"]["default"]["test"]["cold"]["model"] == {"mean": 0.5}


def test_a_row_that_is_the_default_has_its_figures(settings: Settings, results: Path) -> None:
    table, absent = collect(settings, results)
    assert table["runs"]["default/pooling_last"] == table["runs"]["default/default"]
    assert "default/pooling_last" not in absent


def test_what_is_absent_has_a_reason(settings: Settings, results: Path) -> None:
    table, absent = collect(settings, results)
    assert absent["minilm-abstracts/text_only_252"] == "skipped: there are no abstracts"
    assert absent["default/softmax"] == "not run"
    assert set(absent) | set(table["runs"]) == set(settings.seeds())


def test_what_one_machine_skipped_and_another_ran_is_what_was_run(settings: Settings, results: Path) -> None:
    write_json(results / "runs/default/default-1.json", {"skipped": "no memory"})
    write_json(results / "costs/default/default-1.json", {})
    run = collect(settings, results)[0]["runs"]["default/default"]
    assert (run["seeds"], run["validation"]["ndcg@10"]["mean"]) == (2, 0.25)


def test_the_page_has_a_line_for_every_run(settings: Settings, results: Path) -> None:
    page = render(settings, *collect(settings, results))
    lines = page.splitlines()
    for heading, labels in settings.table.items():
        start = lines.index(f"## {heading}")
        for place, label in enumerate(labels.values()):
            assert lines[start + 4 + place].startswith(f"| {label}")
    figures = "| 3 | 0.2000 ± 0.1000 |" + " 0.4000 ± 0.2000 |" * 4 + " 20 | 1,234 |"
    assert f"| frozen text + residual (the default) {figures}" in lines
    assert "all-MiniLM-L6-v2, with abstract (skipped: there are no abstracts)" in page
    assert "| TF-IDF similarity to the latest items | 0.2500 | 0.2500 | 0.2500 |" in lines
    widths = {line.count("|") for line in lines if "NDCG" in line or figures in line}
    assert len(widths) == 1


def test_without_any_result_the_page_says_so(settings: Settings, tmp_path: Path) -> None:
    page = render(settings, *collect(settings, tmp_path))
    assert page.count("(not run)") == sum(map(len, settings.table.values()))
    assert "Cold items" not in page
