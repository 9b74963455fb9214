"""params.yaml of the comparison is checked as a whole, and an override names a key that exists."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hierrec.core.errors import ParamsError
from ruamel.yaml import YAML

from bench.ablation.plan import row_of
from bench.ablation.settings import HERE, Settings, load_settings, with_overrides


def test_every_row_and_every_vectors_resolve_against_the_projects_params(
    settings: Settings, document: dict[str, Any]
) -> None:
    for overrides in settings.rows.values():
        assert row_of(document, settings.epochs, overrides)["train"]["epochs"] == settings.epochs
    for overrides in settings.vectors.values():
        with_overrides(document, {f"encode.{key}": value for key, value in overrides.items()})


def test_an_override_changes_its_key_alone(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    expected = with_overrides(document, {}).model_dump()
    expected["train"]["pooling"]["kind"] = "mean"
    assert with_overrides(document, {"train.pooling.kind": "mean"}).model_dump() == expected
    assert document == before


@pytest.mark.parametrize(
    "key",
    ["train.pooling.kinds", "trains.epochs", "train.epochs.more", "train.backbone.config.layers", "epochs"],
)
def test_an_unknown_key_is_refused_by_name(document: dict[str, Any], key: str) -> None:
    with pytest.raises(ParamsError) as error:
        with_overrides(document, {key: 1})
    assert key in str(error.value)


def test_a_value_out_of_range_is_refused_by_name(document: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=r"train\.pooling\.kind"):
        with_overrides(document, {"train.pooling.kind": "median"})


def changed(tmp_path: Path, change: dict[str, Any]) -> Path:
    yaml = YAML(typ="safe")
    path = tmp_path / "params.yaml"
    yaml.dump({**yaml.load(HERE / "params.yaml"), **change}, path)
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"deciding": {"vectors": ["default"], "rows": ["text_only"], "seeds": [1]}}, "default/pooling_"),
        ({"table": {}}, "the table"),
        ({"rows": {"default": {}}}, "is not defined"),
        ({"epochs": 0}, "epochs"),
        ({"epoch": 3}, "epoch"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ParamsError, match=named):
        load_settings(changed(tmp_path, change))
