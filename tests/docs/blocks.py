"""The fenced blocks of a page, and the marks of blocks that are not run."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.shared_imports import sharing

MARK = r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n+)?"
FENCE = re.compile(MARK + r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, its first line, and why it is not run ("" if it is)."""

    language: str
    text: str
    line: int
    reason: str


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    found = []
    for match in FENCE.finditer(content := page.read_text("utf-8")):
        line = content.count("\n", 0, match.start("language")) + 1
        found.append(Block(match["language"], match["text"], line, match["reason"] or ""))
    return found


def prose(page: Path) -> str:
    """Return the page without its blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def run_script(checkout: Path, script: str) -> None:
    """Run a shell script in a checkout; its exit status must be 0."""
    variables = sharing(checkout / ".demo")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=checkout,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
