"""Runs of several seeds side by side."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hierrec.core.files import read_json, write_json

from bench.seeds import AGAIN, GAIN, collect, main


def make_run(folder: Path, seed: int, ndcg: tuple[float, float], epochs: int = 3, neighbours: int = 5) -> Path:
    write_json(folder / "models" / "hierarchical" / "config.json", {"train": {"seed": seed, "epochs": epochs}})
    fusion = {"neighbours": neighbours, "sources": ["next_items", "trending"][:seed]}  # validation chooses sources
    write_json(folder / "models" / "rag" / "config.json", {"fusion": fusion})
    for variant, value in zip(("hierarchical", "rag"), ndcg, strict=True):
        write_json(folder / "metrics" / f"{variant}.json", {"test": {"ndcg@10": value}})
    gain = {"relative": ndcg[1] / ndcg[0] - 1, "p": seed / 1000}
    again = {"hierarchical": {"test": {"ndcg@10": 2 * ndcg[0]}}, "rag": {"test": {"ndcg@10": 2 * ndcg[1]}}}
    write_json(folder / "metrics" / "refit.json", again)
    write_json(folder / "metrics" / "comparison.json", {"test": {"ndcg@10": gain}})
    return folder


def test_mean_and_deviation_are_over_the_runs(tmp_path: Path) -> None:
    figures = [(0.1, 0.12), (0.2, 0.22), (0.3, 0.345)]
    runs = [make_run(tmp_path / str(seed), seed, ndcg) for seed, ndcg in enumerate(figures, start=1)]
    result = collect(runs, tmp_path / "seeds.json")
    assert result["over_seeds"]["hierarchical"]["ndcg@10"] == {"mean": 0.2, "sd": 0.1}
    assert result["over_seeds"][f"hierarchical{AGAIN}"]["ndcg@10"] == {"mean": 0.4, "sd": 0.2}
    assert result["over_seeds"][GAIN]["ndcg@10"] == {"mean": 0.15, "sd": 0.05}
    assert result["runs"]["2"][GAIN]["p at most"] == 0.002
    assert result["sources"] == {"1": ["next_items"], "2": ["next_items", "trending"], "3": ["next_items", "trending"]}


def test_runs_can_be_added_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "seeds.json"
    figures = [(0.1, 0.12), (0.2, 0.22), (0.3, 0.345)]
    runs = [make_run(tmp_path / str(seed), seed, ndcg) for seed, ndcg in enumerate(figures, start=1)]
    together = collect(runs, path)
    for run in [runs[2], runs[0], runs[1], runs[0]]:
        write_json(path, collect([run], path))
    assert read_json(path) == together


@pytest.mark.parametrize("other", [{"seed": 1}, {"seed": 2, "epochs": 4}, {"seed": 2, "neighbours": 6}])
def test_runs_differ_in_their_seed_and_in_nothing_else(tmp_path: Path, other: dict[str, int]) -> None:
    first = make_run(tmp_path / "1", 1, (0.2, 0.22))
    second = make_run(tmp_path / "2", ndcg=(0.1, 0.12), **other)
    with pytest.raises(click.ClickException):
        collect([first, second], tmp_path / "seeds.json")


def test_a_run_with_other_params_is_not_added(tmp_path: Path) -> None:
    path = tmp_path / "seeds.json"
    write_json(path, collect([make_run(tmp_path / "1", 1, (0.2, 0.22))], path))
    with pytest.raises(click.ClickException):
        collect([make_run(tmp_path / "2", 2, (0.1, 0.12), epochs=4)], path)


def test_a_folder_that_is_no_run_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "file is missing" in result.output
