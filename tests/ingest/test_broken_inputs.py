"""Every broken input: exit code 1, one message with place and remedy, no traceback, artifacts as they were."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hierrec.core.errors import DataError
from hierrec.core.files import sha256_file
from hierrec.ingest import own_files, parquet_files
from hierrec.ingest.dataset import build
from hierrec.ingest.own_files import read_files
from ruamel.yaml import YAML

from stages import ingest
from stages.workspace import ROOT
from tests.ingest.broken_archives import ARCHIVES
from tests.ingest.broken_input import Broken
from tests.ingest.broken_tables import BROKEN_TABLES
from tests.ingest.broken_texts import FURTHER_TEXTS
from tests.ingest.own_tables import write_tables

BROKEN: dict[str, Broken] = {**ARCHIVES, **BROKEN_TABLES, **FURTHER_TEXTS}
PARAMS: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")


def run(folder: Path, overrides: Mapping[str, Any]) -> None:
    """Run the stage in the current folder with params of `ingest` that differ from the project's."""
    params = {**PARAMS, "ingest": {**PARAMS["ingest"], "md5": None, "expected": None}}
    for key, value in overrides.items():
        params["ingest"][key.removeprefix("ingest.")] = value
    (folder / "params.yaml").write_text(json.dumps(params, indent=1), "utf-8")
    ingest.main()


def artifacts(folder: Path) -> dict[str, str]:
    """Return the hash of every file under `artifacts/`."""
    found = sorted(path for path in (folder / "artifacts").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256_file(path) for path in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stage has run on sound input."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "pyproject.toml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(folder, write_tables(folder))
    return folder


def test_no_case_hides_another() -> None:
    assert len(BROKEN) == len(ARCHIVES) + len(BROKEN_TABLES) + len(FURTHER_TEXTS) >= 140


@pytest.mark.parametrize("case", BROKEN)
def test_it_is_refused_and_nothing_changes(
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    before = artifacts(built)
    assert len(before) == 10
    monkeypatch.chdir(built)
    with pytest.raises(SystemExit) as caught:
        run(built, BROKEN[case].make(tmp_path))
    output = capsys.readouterr()
    assert caught.value.code == 1
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("error: ") == output.err.count("\n  what to do: ") == 1
    assert re.search(BROKEN[case].message, output.err, re.DOTALL), output.err
    assert len(output.err) < 1000
    assert "Traceback" not in output.err
    assert artifacts(built) == before


def refusal(folder: Path, case: str) -> str | None:
    """Return the message of broken tables without the number of further bad rows, which counts those of a block.

    None: reading and sorting does not refuse the tables.
    """
    params = BROKEN_TABLES[case].make(folder)
    interactions, items = params["ingest.interactions"], params["ingest.items"]
    if interactions is None or not Path(items).exists():
        return None
    try:
        build(read_files(Path(interactions), Path(items)))
    except DataError as error:
        return re.sub(r" \(and [\d,]+ more rows?\)", "", str(error))
    return None


@pytest.mark.parametrize("case", BROKEN_TABLES)
def test_a_table_in_blocks_is_refused_as_the_whole_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Each table is broken in one way. Of several, blocks name the first bad row of the first bad block."""
    whole = refusal(tmp_path, case)
    if whole is None:
        pytest.skip("refused before it is read, or by other checks")
    monkeypatch.setattr(own_files, "_BLOCK", 48)  # bytes: two or three rows
    monkeypatch.setattr(parquet_files, "_ROWS", 1)
    assert refusal(tmp_path, case) == whole
