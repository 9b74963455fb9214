"""`python -m stages.demo`, as `make demo` runs it, except that its child processes share imports."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from hierrec.ingest.sample import sample_dataset

from stages.workspace import PARTS, environment
from tests.shared_imports import commands
from tests.stages.imports import ROOT


def test_the_demo_shows_metrics_and_films_and_leaves_the_tree_alone(tmp_path: Path) -> None:
    for name in (*PARTS, ".gitignore", ".dvc/config", ".dvcignore"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, target)
    variables = {name: value for name, value in environment(tmp_path).items() if name != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("git", "init", "--quiet")
    before = run("git", "status", "--porcelain", "--untracked-files=all")
    content = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    demo = "import runpy, sys; sys.executable = sys.argv[1]; runpy.run_module('stages.demo', run_name='__main__')"
    output = run(sys.executable, "-c", demo, str(commands() / "python"))

    rows = re.findall(r"^(\w+) +(validation|test)((?: +0\.\d{4})+)$", output, re.MULTILINE)
    assert [row[:2] for row in rows] == [
        (model, split)
        for model in ("markov", "neighbours", "popularity", "hierarchical", "rag")
        for split in ("validation", "test")
    ]
    assert all(len(values.split()) == 4 for _, _, values in rows)
    again = re.findall(r"^(\w+) +test, fitted again((?: +0\.\d{4})+)$", output, re.MULTILINE)
    assert [model for model, _ in again] == ["hierarchical", "rag"]
    films = set(sample_dataset().items["title"])
    recommended = re.findall(r"^[1-5]  (.+) \(\d{4}\) +0\.\d{4}$", output, re.MULTILINE)
    assert len(recommended) == 15
    assert set(recommended) <= films
    assert run("git", "status", "--porcelain", "--untracked-files=all") == before
    assert {path: path.read_bytes() for path in content} == content
