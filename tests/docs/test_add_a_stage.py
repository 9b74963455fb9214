"""The example of docs/add-a-stage.md, put into a checkout as the page says."""

import json
import shutil
from pathlib import Path

from stages.workspace import ROOT, run
from tests.docs.blocks import blocks, run_script


def append(path: Path, before: str, text: str) -> None:
    """Put text before the first place of `before` in a file."""
    head, found, rest = path.read_text("utf-8").partition(before)
    assert found
    path.write_text(head + text + found + rest, "utf-8")


def test_the_example_works_as_it_stands(checkout: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkout, tmp_path / "hierrec", symlinks=True) / ".demo"
    found = blocks(ROOT / "docs" / "add-a-stage.md")
    first, last = (block.text for block in found if block.language == "sh")
    run_script(folder.parent, first)
    library, section, stage = (block.text for block in found if block.language == "python")
    values, entry = (block.text for block in found if block.language == "yaml")
    (folder / "pipeline" / "evaluation" / "popularity.py").write_text(library, "utf-8")
    (folder / "stages" / "evaluate_popularity.py").write_text(stage, "utf-8")
    params = folder / "pipeline" / "evaluation" / "params.py"
    params.write_text(params.read_text("utf-8") + "\n\n" + section, "utf-8")
    whole = folder / "pipeline" / "params" / "__init__.py"
    append(whole, "EvaluateParams\n", "PopularityParams, ")
    append(whole, "\n\ndef load_params", "    popularity: PopularityParams\n")
    (folder / "params.yaml").write_text((folder / "params.yaml").read_text("utf-8") + "\n" + values, "utf-8")
    append(folder / "dvc.yaml", "\nplots:", "\n" + entry)
    run(folder, "bash", "-euc", last.replace("dvc repro ", "dvc repro --single-item "))
    headlines = json.loads((folder / "artifacts/metrics/headlines/popularity.json").read_text("utf-8"))
    assert 0 < headlines["popularity"]["ndcg@10"] < 1
    run(folder, "python", "-m", "stages.params")  # the whole of params.yaml is valid
