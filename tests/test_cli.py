"""The command's output, its exit status, and one message in place of a traceback."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hierrec.cli import main
from hierrec.files import write_json

SPLITS: dict[str, Any] = {
    "validation": {"ndcg@10": 0.5, "recall@10": 0.25},
    "test": {"ndcg@10": 0.125, "recall@10": 1.0},
}


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def metrics(folder: Path, rag: Any = SPLITS) -> Result:
    write_json(folder / "metrics" / "hierarchical.json", SPLITS)
    write_json(folder / "metrics" / "rag.json", rag)
    return run("metrics", "--artifacts", str(folder))


def test_metrics_stand_in_a_table(tmp_path: Path) -> None:
    result = metrics(tmp_path)
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["variant", "split", "ndcg@10", "recall@10"],
        ["hierarchical", "validation", "0.5000", "0.2500"],
        ["hierarchical", "test", "0.1250", "1.0000"],
        ["rag", "validation", "0.5000", "0.2500"],
        ["rag", "test", "0.1250", "1.0000"],
    ]
    assert len({len(line) for line in result.output.splitlines()}) == 1


@pytest.mark.parametrize(
    "rag",
    [
        {},
        [],
        None,
        {"validation": SPLITS["validation"]},
        {**SPLITS, "test": {}},
        {**SPLITS, "test": None},
        {**SPLITS, "test": {"ndcg@10": 0.5}},
        {**SPLITS, "test": {"ndcg@10": "high", "recall@10": 1}},
    ],
)
def test_metrics_that_are_none_give_one_message(tmp_path: Path, rag: Any) -> None:
    result = metrics(tmp_path, rag)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: the metrics of rag ")
    assert "dvc repro evaluate_rag" in result.stderr


def test_artifacts_that_are_not_there_give_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "absent", tmp_path / "file"):
        for command in (["metrics"], ["recommend", "--user", "1"]):
            result = run(*command, "--artifacts", str(folder))
            assert result.exit_code == 1
            assert result.stderr.startswith(f"error: {folder}")
            assert "what to do" in result.stderr


def test_wrong_usage_has_status_2() -> None:
    for arguments in (["recommend"], ["recommend", "--user", "1", "-k", "0"], ["retrain"]):
        assert run(*arguments).exit_code == 2


def test_help_names_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "metrics" in result.output
    assert "recommend" in result.output
