"""The checks: every locked file has a hash, secrets are found, and the audit works without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOWHERE = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}


def test_every_locked_version_is_one_and_has_hashes() -> None:
    entries = re.split(r"\n(?! )", (ROOT / "constraints.txt").read_text("utf-8").strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==[\w.!+]+(?: ;[^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry[
            :200
        ]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository of the checks alone."""
    (tmp_path / ".ci").mkdir()
    for name in ("secrets", "audit"):
        shutil.copy(ROOT / ".ci" / name, tmp_path / ".ci")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def check(repository: Path, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    subprocess.run(["git", "add", "--all", "--", ":!.venv"], cwd=repository, check=True)
    return subprocess.run(
        [f".ci/{name}"], cwd=repository, env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_a_planted_secret_is_found(repository: Path) -> None:
    (repository / "notes.py").write_text("GREETING = 'hello'\n")
    assert check(repository, "secrets").returncode == 0
    planted = "AKIA" + "QYLPMN5HFIQR7XYA"
    (repository / "notes.py").write_text(f"key = '{planted}'\n")
    done = check(repository, "secrets")
    assert done.returncode == 1
    assert "notes.py:1" in done.stdout


def test_without_a_network_the_audit_says_what_it_skips(repository: Path) -> None:
    done = check(repository, "audit", **NOWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "secrets: none found",
        "known weaknesses: skipped: no network (api.osv.dev is not reached)",
    ]


def test_the_checks_scan_for_secrets() -> None:
    lint = (ROOT / "Makefile").read_text("utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    assert "\t.ci/secrets" in lint
    assert "make lint" in (ROOT / ".ci" / "run").read_text("utf-8")
