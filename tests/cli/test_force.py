"""`--force` replaces only regular files and folders that hierrec wrote."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.catalogue import CATALOGUE, content, fails

Run = Callable[..., Result]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a device node")
def test_force_leaves_a_device_alone(run: Run, store: Path, tmp_path: Path) -> None:
    node = tmp_path / "node"
    os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    for form in ("parquet", "npy"):
        command = ["embeddings", "export", str(store), "--format", form, "--out", str(node), "--force"]
        fails(run(*command), "is not a")
        assert stat.S_ISCHR(node.stat().st_mode)


@pytest.mark.parametrize("kind", ["fifo", "socket", "link"])
def test_force_replaces_only_regular_files(run: Run, store: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(place))
        listener.close()
    else:
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    mode = place.lstat().st_mode
    for form in ("word2vec", "npy"):
        command = ["embeddings", "export", str(store), "--format", form, "--out", str(place), "--force"]
        assert run(*command).exit_code == 1
    assert place.lstat().st_mode == mode


def test_force_replaces_only_folders_of_its_own(run: Run, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["embeddings", "export", str(store), "--out", str(out), "--force", "--format"]
    for form in ("npy", "projector", "datasets"):  # each replaces the last
        assert run(*command, form).exit_code == 0
    (out / "thesis.txt").write_text("mine")
    fails(run(*command, "npy"), "did not write")
    assert (out / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": "{}"},
        {"manifest.json": '{"name": "a web page"}', "embeddings.npy": ""},
        {"manifest.json": "no JSON"},
        {"embeddings-00000.npy": "mine, without a manifest"},
        {"embeddings.npy": "mine"},
        {"metadata.tsv": "mine", "tensors.tsv": "mine"},
        {"metadata.tsv": "mine", "tensors.tsv": "mine", "projector_config.pbtxt": "mine"},
        {"data-00000-of-00001.arrow": "", "dataset_info.json": '{"features": {}}', "state.json": "{}"},
        {"embeddings.npy/a": "mine", "ids.json": "[]"},
    ],
)
def test_a_folder_of_somebody_else_is_not_replaced(
    run: Run, store: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    out = tmp_path / "out"
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    before, catalogue = content(out), tmp_path / "items.csv"
    catalogue.write_text(CATALOGUE, "utf-8")
    encode = ["embeddings", "encode", "--items", str(catalogue), "--id-column", "sku", "--out", str(out)]
    fails(run(*encode), "exists already")
    export = ["embeddings", "export", str(store), "--format", "npy", "--out", str(out)]
    for command in (encode, export):
        fails(run(*command, "--force"), "did not write")
    assert content(out) == before
