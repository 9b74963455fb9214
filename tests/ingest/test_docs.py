"""docs/own-data.md is right."""

import re
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from hierrec.ingest import table_files
from hierrec.ingest.columns import USUAL, plain

from tests.ingest.own_tables import TABLES

DOCS = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text("utf-8")


def test_the_reader_of_another_format_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r'```python\n("""Reader of Arrow.*?)```', DOCS, re.DOTALL)
    assert code is not None
    module = ModuleType("hierrec.ingest.arrow_files")
    module.__package__ = "hierrec.ingest"
    exec(code[1], module.__dict__)
    (tmp_path / "a.csv").write_bytes(TABLES["interactions.csv"])
    table = table_files.read_table(tmp_path / "a.csv")
    with pa.ipc.new_file(tmp_path / "a.arrow", table.to_arrow().schema) as writer:
        writer.write_table(table.to_arrow())
    monkeypatch.setitem(table_files.READERS, ".arrow", module.blocks)
    assert table_files.read_table(tmp_path / "a.arrow").equals(table)


@pytest.mark.parametrize("role", ["user", "item", "timestamp", "rating"])
def test_the_names_that_are_listed_are_those_that_are_known(role: str) -> None:
    row = re.search(rf"^\| {role} \| (.*) \|$", DOCS, re.MULTILINE)
    assert row is not None
    listed = set()
    for name in row[1].split(", "):
        stem, _, rest = name.partition("(")
        listed |= {plain(stem), plain(stem + rest.rstrip(")"))}
    assert set(USUAL[role]) == listed
