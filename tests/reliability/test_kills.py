"""kill -9 in every stage, and in `dvc repro`: a few of the kills of `make torture`."""

import subprocess
import sys
from pathlib import Path

from bench.torture.workspace import differences

ROOT = Path(__file__).parents[2]


def test_after_a_kill_the_next_run_ends_as_if_nothing_had_happened() -> None:
    command = [sys.executable, "-m", "bench.torture", "--kills", "9", "--dvc-kills", "1", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:10]]
    assert [int(row[2]) + int(row[3]) for row in rows] == [1] * 9
    assert [row[4] for row in rows] == ["0"] * 9
    assert done.stdout.splitlines()[-1].endswith("the same, bit for bit")


def test_differences_are_seen() -> None:
    expected = {"same": "1", "changed": "1", "missing": "1"}
    assert differences(expected, expected) == []
    found = {"same": "1", "changed": "2", "more": "left over"}
    assert differences(found, expected) == ["changed", "missing", "more"]
