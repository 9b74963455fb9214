"""No passage of the code occurs twice."""

import ast
from collections import defaultdict
from itertools import pairwise

from tests.stages.imports import FOLDERS, ROOT

PASSAGE = 6
"""Lines from which two equal passages are a duplicate. Indentation, blank lines, imports, docstrings and lines of
brackets alone do not count."""

KNOWN: set[frozenset[str]] = set()
"""Pairs of files with a known duplicate."""


def lines_of_code(source: str) -> list[tuple[int, str]]:
    """Return number and stripped text of the lines that count."""
    ignored: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            ignored |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    numbered = enumerate((line.strip() for line in source.splitlines()), start=1)
    return [(number, line) for number, line in numbered if line.strip("()[]{},:") and number not in ignored]


def duplicates(sources: dict[str, str]) -> dict[frozenset[str], list[str]]:
    """Return pairs of files that share a passage (one file, if it stands twice there), with the places."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, source in sources.items():
        lines = lines_of_code(source)
        for start in range(len(lines) - PASSAGE + 1):
            part = lines[start : start + PASSAGE]
            places[tuple(text for _, text in part)].append((name, part[0][0]))
    found: dict[frozenset[str], list[str]] = defaultdict(list)
    for group in places.values():
        for (one, line), (other, line_of_other) in pairwise(group):
            found[frozenset({one, other})].append(f"{one}:{line} and {other}:{line_of_other}")
    return found


def test_it_finds_a_passage_that_stands_twice() -> None:
    passage = "a = 1\nb = 2\nc = f(\n    3,\n)\n\nd = 4\ne = 5\n"
    assert duplicates({"x": f'"""X."""\n{passage}', "y": f"import y\nif y:\n{' ' * 4}z()\n{passage}"})
    assert duplicates({"x": passage + "between = 0\n" + passage})
    assert not duplicates({"x": passage, "y": passage.replace("d = 4", "d = 5")})


def test_no_passage_stands_twice() -> None:
    files = sorted(path for folder in FOLDERS.values() for path in folder.rglob("*.py"))
    found = duplicates({str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files})
    assert {pair: places for pair, places in found.items() if pair not in KNOWN} == {}
