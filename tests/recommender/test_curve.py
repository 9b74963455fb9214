"""The learning curve's file."""

from pathlib import Path

from hierrec.recommender.curve import write_curve


def test_values_are_rounded_to_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_curve(path, [{"epoch": 2, "train_loss": 1.23456789, "ndcg@10": 0.1234564}])
    assert path.read_text() == "epoch,train_loss,ndcg@10\n2,1.234568,0.123456\n"
