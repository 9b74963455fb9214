"""Each shell command and each piece of Python on the pages for users is run, in order, in a checkout of the sample."""

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from hierrec.params import load_params

from stages.workspace import ROOT
from tests.docs.blocks import Block, blocks, prose, run_script

PAGES = ("README.md", *(f"docs/{name}.md" for name in (
    "results", "models", "scaling", "dvc", "embeddings", "serving", "living-memory", "own-data", "reproduction",
    "store-format", "protocol", "model-card", "decisions", "reliability",
)))  # fmt: skip
RUN = ("sh", "python")
SHOWN = ("text", "yaml", "mermaid")
MARKED = 0.3
"""Largest share of blocks that may be left out, over all pages."""


def of(page: str) -> list[Block]:
    return [block for block in blocks(ROOT / page) if block.language in RUN]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work(page: str, checkout: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkout, tmp_path / "hierrec", symlinks=True)
    script = []
    for block in of(page):
        if block.reason:
            continue
        script.append(f"echo '--- {page}, line {block.line}'")
        if block.language == "sh":
            script.append(block.text)
            continue
        code = tmp_path / f"{block.line}.py"
        code.write_text(block.text, "utf-8")
        script.append(f"python {code}")
    run_script(folder, "\n".join(script))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_a_command_that_is_run(page: str) -> None:
    first = of(page)[1 if page == "README.md" else 0]  # the README's first is `make demo`
    assert (first.language, first.reason) == ("sh", "")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is_and_no_command_hides_in_another(page: str) -> None:
    found = blocks(ROOT / page)
    assert {block.language for block in found} <= {*RUN, *SHOWN}
    assert not re.findall(r"^(?:    |\t)(?![-*\d ])\S.*", prose(ROOT / page), re.MULTILINE)
    commands = r"^(?:\$ )?(?:hierrec|dvc|make|python|pip|git) "
    assert not [block for block in found if block.language in SHOWN and re.search(commands, block.text, re.M)]


def test_few_blocks_are_not_run() -> None:
    found = [block for page in PAGES for block in of(page)]
    marked = [block for block in found if block.reason]
    assert len(marked) <= MARKED * len(found)


def overrides(page: str) -> list[list[str]]:
    """Return what each command of a page sets with -S."""
    lines = [line for block in of(page) for line in block.text.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    found = [[word for flag, word in pairwise(line) if flag == "-S" and "$(" not in word] for line in words]
    return [line for line in found if line]


def test_the_params_that_pages_set_are_valid(tmp_path: Path) -> None:
    found = [line for page in PAGES for line in overrides(page)]
    assert len(found) > 5
    for line in found:
        shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
        apply_overrides(tmp_path / "params.yaml", line)
        load_params(tmp_path / "params.yaml")
