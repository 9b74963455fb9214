"""The learning curve's file."""

from pathlib import Path

import pytest
from hierrec.core.errors import CheckpointError
from hierrec.model.curve import CURVE, read_curve, write_curve


def test_values_are_rounded_to_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_curve(path, [{"epoch": 2, "train_loss": 1.23456789, "ndcg@10": 0.1234564}])
    assert path.read_text() == "epoch,train_loss,ndcg@10\n2,1.234568,0.123456\n"


def test_a_curve_is_read_or_refused(tmp_path: Path) -> None:
    write_curve(tmp_path / CURVE, [{"epoch": 2, "ndcg@10": 0.5}, {"epoch": 4, "ndcg@10": 0.25}])
    assert read_curve(tmp_path)["ndcg@10"].to_list() == [0.5, 0.25]
    for content in (None, b"", b"epoch\n1,2,3\n"):
        (tmp_path / CURVE).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / CURVE).write_bytes(content)
        with pytest.raises(CheckpointError, match="learning curve"):
            read_curve(tmp_path)
