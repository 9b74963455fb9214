"""An artifact with one flipped bit is refused, or reads as before."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hierrec.core.errors import CheckpointError, HierrecError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.old_artifacts.readings import READINGS

OLD = Path(__file__).parents[1] / "old_artifacts" / "version_3"
READERS = {"store": "whitened", "index": "nearest", "hierarchical": "hierarchical", "rag": "rag"}
FILES = sorted(path.relative_to(OLD) for name in READERS for path in (OLD / name).rglob("*") if path.is_file())
MODELS = [name for name in FILES if name.parts[0] in ("hierarchical", "rag")]

many = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "artifacts"))


def flip(path: Path, bit: int) -> bytes:
    """Flip one bit of a file; return what it held before."""
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    return content


@many
@given(st.sampled_from(FILES), st.data())
def test_no_flipped_bit_changes_a_number(folder: Path, name: Path, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * (OLD / name).stat().st_size - 1))
    before = flip(folder / name, bit)
    reader = READERS[name.parts[0]]
    try:
        found = READINGS[reader](folder)
    except HierrecError:
        return
    finally:
        (folder / name).write_bytes(before)
    np.testing.assert_array_equal(found, READINGS[reader](folder))


@many
@given(st.sampled_from(MODELS), st.data())
def test_a_model_with_a_flipped_bit_is_refused(folder: Path, name: Path, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * (OLD / name).stat().st_size - 1))
    before = flip(folder / name, bit)
    with pytest.raises(CheckpointError, match=name.parts[0]):
        READINGS[name.parts[0]](folder)
    (folder / name).write_bytes(before)


@pytest.mark.parametrize("name", MODELS, ids=str)
def test_a_model_without_one_of_its_files_is_refused(folder: Path, name: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match="missing"):
        READINGS[name.parts[0]](folder)
