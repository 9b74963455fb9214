"""The plots that DVC draws: every template is used, and reads the plot's values."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.report.world import ROOT

PLOTS: dict[str, dict[str, Any]] = {
    name: plot for entry in YAML(typ="safe").load(ROOT / "dvc.yaml")["plots"] for name, plot in entry.items()
}
TEMPLATES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages" / "plots").glob("*.json"))


def test_every_template_is_used_by_a_plot() -> None:
    assert sorted(plot["template"] for plot in PLOTS.values() if "template" in plot) == TEMPLATES


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_takes_data_title_and_axes(template: str) -> None:
    text = (ROOT / template).read_text("utf-8")
    assert json.loads(text)["data"] == {"values": "<DVC_METRIC_DATA>"}
    for anchor in ("TITLE", "X", "Y", "X_LABEL", "Y_LABEL"):
        assert f"<DVC_METRIC_{anchor}>" in text


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_has_a_title_and_labelled_axes(name: str) -> None:
    assert {"title", "x_label", "y_label"} <= set(PLOTS[name])
