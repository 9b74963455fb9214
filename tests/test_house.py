"""Rooms import only from earlier rooms, and files stay short."""

import pytest

from tests.stages.imports import ROOT, imported

ROOMS = [
    "core",
    "ingest",
    "store",
    "encode",
    "tune",
    "search",
    "index",
    "ranking",
    "model",
    "training",
    "rag",
    "fusion",
    "refit",
    "evaluation",
    "params",
    "serving",
    "report",
    "reuse",
    "update",
    "web",
    "cli",
]
LONGEST = 300
"""Lines of a file."""


def test_every_folder_of_the_package_is_a_room() -> None:
    assert {init.parent.name for init in (ROOT / "pipeline").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_earlier_rooms(room: str) -> None:
    allowed = {f"hierrec.{earlier}" for earlier in [*ROOMS[: ROOMS.index(room) + 1], "__version__"]}
    files = sorted((ROOT / "pipeline" / room).rglob("*.py"))
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported(path)
        if name.startswith(("hierrec.", "stages.")) and ".".join(name.split(".")[:2]) not in allowed
    }
    assert files
    assert wrong == set()


def test_no_file_is_long() -> None:
    files = [path for folder in ("pipeline", "stages") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}
