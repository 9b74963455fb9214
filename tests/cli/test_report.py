"""`hierrec report`."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from hierrec.report.previous import MARK

from tests.cli.metrics_files import SPLITS, write_metrics

Run = Callable[..., Result]
PAGE = f"<main>{MARK}</main>"


def test_the_last_run_with_other_metrics_stands_beside_this_one(
    run: Run, tmp_path: Path, committed: Callable[..., None]
) -> None:
    better = {**SPLITS, "test": {"ndcg@10": 0.25, "recall@10": 1.0}}
    committed(SPLITS, epochs=2)
    committed(better, epochs=3)
    committed(better, epochs=3, baselines={})  # a commit of other files adds no run
    (tmp_path / "metrics" / "notes.txt").write_text("")  # nor a stray file
    (tmp_path / "report.html").write_text(PAGE)
    page, arguments = tmp_path / "page.html", ("report", "--artifacts", str(tmp_path), "--out")
    for more, expected in (
        ([], "<td>0.1250</td><td>+0.1250</td>"),  # before the commit of this run
        (["--previous", "HEAD", "--force"], "<td>0.2500</td><td>+0.0000</td>"),
    ):
        result = run(*arguments, str(page), *more)
        assert result.exit_code == 0, result.stderr
        assert expected in page.read_text("utf-8")
    assert "already" in run(*arguments, str(page)).stderr
    write_metrics(tmp_path, SPLITS)  # a run that is not committed: HEAD has other metrics
    assert run(*arguments, str(page), "--force").exit_code == 0
    assert "<td>0.2500</td><td>-0.1250</td>" in page.read_text("utf-8")
    assert (tmp_path / "report.html").read_text("utf-8") == PAGE


def test_what_cannot_be_compared_gives_one_message(run: Run, tmp_path: Path, committed: Callable[..., None]) -> None:
    arguments = ("report", "--artifacts", str(tmp_path), "--out", str(tmp_path / "page.html"))
    assert "artifacts are missing" in run(*arguments).stderr
    (tmp_path / "report.html").write_text("<main></main>")
    committed(SPLITS, epochs=2)
    assert "every commit has these metrics" in run(*arguments).stderr
    assert "there is no commit 'nosuch'" in run(*arguments, "--previous", "nosuch").stderr
    assert "no report of this version" in run(*arguments, "--previous", "HEAD").stderr
    assert "would replace" in run(*arguments[:-1], str(tmp_path / "report.html"), "--previous", "HEAD").stderr
    assert not (tmp_path / "page.html").exists()
    subprocess.run(["rm", "-r", str(tmp_path / ".git")], check=True)
    assert "not under git" in run(*arguments).stderr
