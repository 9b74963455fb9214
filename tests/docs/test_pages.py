"""Pages name files and headings that exist, and numbers have a leading zero."""

import re
from pathlib import Path

import pytest

from tests.stages.imports import ROOT

PAGES = [
    "CONTRIBUTING.md",
    "README.md",
    "bench/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
FOLDERS = (".", "pipeline", "tests", "bench")
EXAMPLES = {
    "docs/add-a-stage.md": {
        "pipeline/evaluation/popularity.py",
        "stages/evaluate_popularity.py",
        "tests/evaluation/test_popularity.py",
    },
    "docs/own-data.md": {"pipeline/ingest/arrow_files.py"},
}
"""Files that a page shows how to add."""


@pytest.mark.parametrize("page", PAGES)
def test_code_files_that_a_page_names_are_there(page: str) -> None:
    names = set(re.findall(r"`((?:[\w-]+/)+[\w-]+\.py)`", (ROOT / page).read_text("utf-8")))
    lost = {name for name in names if not any((ROOT / folder / name).is_file() for folder in FOLDERS)}
    assert lost == EXAMPLES.get(page, set())


def anchors(page: Path, headings: list[str] | None = None) -> set[str]:
    """Return the anchors that GitHub makes of headings, by default of all on the page."""
    if headings is None:
        headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sections_of(page: Path) -> set[str]:
    """Return the anchors of a page's sections that start with a conclusion."""
    return anchors(page, re.findall(r"^## (.+)\n\n\*[^*]", page.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_each_decision_has_a_line_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^\| [\d-]+ \| \[[^]]+\]\(decisions/([^)]+)\)", folder.with_suffix(".md").read_text(), re.M)
    sections = [f"{page.name}#{anchor}" for page in folder.glob("*.md") for anchor in sections_of(page)]
    assert sorted(listed) == sorted(sections)


@pytest.mark.parametrize("page", PAGES)
def test_numbers_have_a_leading_zero(page: str) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"(?<![\w.])\.\d+", prose)


def test_pictures_are_small_and_shown() -> None:
    shown = {name for page in PAGES for name in re.findall(r"pictures/(\w+)\.png", (ROOT / page).read_text("utf-8"))}
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert {path.name for path in pictures} == {f"{name}.png" for name in shown}
    assert all(path.stat().st_size < 200_000 for path in pictures)
