"""The table of ranks: written, read, and cut into slices."""

from pathlib import Path

import polars as pl
import pytest
from hierrec.core.errors import DataError
from hierrec.core.tables import write_table
from hierrec.evaluation.ranks import load_ranks, sliced
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.tables import ranks_table

test_ranks = st.lists(st.one_of(st.none(), st.integers(1, 90).map(float)), min_size=1, max_size=30)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    table = ranks_table([1.5, None, float("inf")])
    write_table(table, tmp_path / "ranks.parquet")
    assert load_ranks(tmp_path / "ranks.parquet").equals(table)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not Parquet", None])
def test_a_damaged_file_is_a_typed_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ranks.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"ranks\.parquet"):
        load_ranks(path)


def test_one_changed_byte_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "ranks.parquet"
    write_table(ranks_table([float(rank) for rank in range(1, 500)]), path)
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"ranks\.parquet"):
        load_ranks(path)


def test_other_columns_and_types_are_a_typed_error(tmp_path: Path) -> None:
    path, table = tmp_path / "ranks.parquet", ranks_table([1.0])
    for other in (table.drop("popularity"), table.cast({"test": pl.Float32})):
        write_table(other, path)
        with pytest.raises(DataError, match="popularity"):
            load_ranks(path)


@given(test_ranks)
def test_the_groups_of_a_slice_share_out_the_users(test: list[float | None]) -> None:
    table = ranks_table(test)
    slices = sliced(table)
    assert set(slices) == {"history", "popularity", "target", "perturbed"}
    ranked = sorted(rank for rank in test if rank is not None)
    for name in ("history", "popularity"):
        assert sorted(rank for part in slices[name].values() for rank in part["rank"]) == ranked
    for part in slices["perturbed"].values():
        assert len(part) == len(ranked)


def test_the_perturbed_ranks_are_those_of_their_columns() -> None:
    slices = sliced(ranks_table([1, None, 3], dropped=[2, None, 4], replaced=[5, None, 6]))
    assert {name: part["rank"].to_list() for name, part in slices["perturbed"].items()} == {
        "dropped": [2, 4],
        "replaced": [5, 6],
    }
    assert slices["history"]["short"].rows() == [(0, 1)]
    assert slices["history"]["middle"].rows() == []
