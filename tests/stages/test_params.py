"""Stage `params`: models of stages that will run again are checked before DVC removes what these stages wrote."""

from pathlib import Path

import pytest
from hierrec.core.errors import HierrecError
from hierrec.params import load_params
from ruamel.yaml import YAML

from stages.params import _check_models
from stages.workspace import ROOT, set_params


def locked(folder: Path) -> None:
    """Write a lock as if `encode` and `train_hierarchical` had run with the params in the folder."""
    params = YAML(typ="safe").load(folder / "params.yaml")
    stages = {
        stage: {"params": {"params.yaml": {section: params[section]}}}
        for stage, section in (("encode", "encode"), ("train_hierarchical", "train"))
    }
    YAML().dump({"stages": stages}, folder / "dvc.lock")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encode.model", "/no/such/folder", "there is no folder"),
        ("encode.revision", "0" * 40, "only a hub model has a revision"),
        ("train.backbone.config.model_type", "gpt2", "gpt2 has no such setting.*leave it out"),
        ("train.backbone.config.num_attention_heads", 3, "do the heads share the width"),
        ("train.backbone.pretrained", "/no/such/folder", "backbone.pretrained: there is no folder"),
        ("train.backbone.pretrained", "group/model", "a hub model needs its commit"),
        ("train.history", 5000, "reads 4096 positions"),
    ],
)
def test_another_model_is_checked_where_a_run_would_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text("utf-8"), "utf-8")
    locked(tmp_path)
    _check_models(load_params(path))  # nothing has changed
    set_params(path, {key: value})
    with pytest.raises(HierrecError, match=f"(?s){message}"):
        _check_models(load_params(path))
    (tmp_path / "dvc.lock").unlink()
    _check_models(load_params(path))  # the stages have not run yet, so nothing would be lost
