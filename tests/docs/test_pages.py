"""Pages name files that there are."""

import re

import pytest

from tests.stages.imports import ROOT

PAGES = [
    "CONTRIBUTING.md",
    "README.md",
    "bench/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
FOLDERS = (".", "pipeline", "tests", "bench")
EXAMPLES = {"docs/add-a-stage.md", "docs/own-data.md"}
"""Pages that show how a file is added."""


@pytest.mark.parametrize("page", PAGES)
def test_code_files_that_a_page_names_are_there(page: str) -> None:
    names = set(re.findall(r"`((?:[\w-]+/)+[\w-]+\.py)`", (ROOT / page).read_text("utf-8")))
    lost = {name for name in names if not any((ROOT / folder / name).is_file() for folder in FOLDERS)}
    assert page in EXAMPLES or not lost
