"""`hierrec embeddings`: encodes catalogues, verifies stores, exports to other formats, loses no file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import Result
from hierrec.cli.embeddings import FORMATS
from hierrec.reuse.export import WRITERS
from hierrec.store.store import EmbeddingStore

from tests.cli.catalogue import CATALOGUE, VECTORS, content, fails

Run = Callable[..., Result]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv"
    path.write_text(CATALOGUE, "utf-8")
    return path


@pytest.mark.usefixtures("shared_imports")
def test_two_encode_into_one_folder_and_one_cache_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = tmp_path / "items [1]*.csv"
    items.write_text("item_id,title\n" + "".join(f"{n},Film {n} of love\n" for n in range(200)), "utf-8")

    def encode(out: Path, cache: Path) -> subprocess.Popen[str]:
        monkeypatch.setenv("HIERREC_CACHE", str(cache))
        command = [sys.executable, "-m", "hierrec", "embeddings", "encode", "--items", str(items)]
        return subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True)

    alone = encode(tmp_path / "alone", tmp_path / "own")
    both = [encode(tmp_path / "both", tmp_path / "shared") for _ in range(2)]
    for process in (alone, *both):
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    assert content(tmp_path / "both") == content(tmp_path / "alone")
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "both", "own", "shared", items.name}


@pytest.mark.parametrize("option", ["--items", "--out"])
def test_a_name_that_is_not_utf_8_is_refused(run: Run, tmp_path: Path, catalogue: Path, option: str) -> None:
    paths = {"--items": str(catalogue), "--out": str(tmp_path / "out")}
    paths[option] += os.fsdecode(b"\xff.csv")
    result = run("embeddings", "encode", *(word for pair in paths.items() for word in pair))
    fails(result, r"\udcff.csv': the name is not UTF-8", "LC_ALL")


def test_verify_sums_up_a_whole_store(run: Run, store: Path) -> None:
    result = run("embeddings", "verify", str(store))
    assert (result.exit_code, result.stderr) == (0, "")
    first, second, third = result.stdout.splitlines()
    assert first == "OK: 5 items, vectors of width 4, 2 whitened"
    assert second == "by m (weights w), '{title}.'"
    assert third == f"store {EmbeddingStore.open(store).hash[:12]}"


def test_verify_says_all_that_is_wrong(run: Run, store: Path) -> None:
    (store / "whitening.safetensors").unlink()
    np.save(store / "embeddings.npy", VECTORS[:4])
    result = run("embeddings", "verify", str(store))
    fails(result, "whitening.safetensors: file is missing", "shape (4, 4), but manifest.json says (5, 4)")
    assert result.stderr.count("what to do") == 1
    fails(run("embeddings", "verify", str(store / "absent")), "absent/manifest.json: file is missing")


def test_encode_writes_a_store_like_the_pipelines(run: Run, catalogue: Path, tmp_path: Path) -> None:
    command = ["embeddings", "encode", "--items", str(catalogue)]  # its ids are in the column "sku"
    command += ["--template", "{title}. Maker: {maker}.", "--max-length", "32"]
    first = run(*command, "--out", str(tmp_path / "first"))
    assert first.exit_code == 0, first.stderr
    assert "3 items by t5-nano" in first.stdout
    assert run("embeddings", "verify", str(tmp_path / "first")).exit_code == 0
    opened = EmbeddingStore.open(tmp_path / "first")
    assert opened.item_ids == ["A 1", "7", "ß"]
    assert opened.items["title"].to_list() == ["Red chair", "Blue chair", "ß"]
    assert opened.items["text"].to_list() == ["Red chair. Maker: Kemp.", "Blue chair.", "Maker: Kemp."]
    assert opened.manifest["max_length"] == 32
    second = run(*command, "--out", str(tmp_path / "second"))
    assert "0 texts encoded, the rest from the cache" in second.stdout
    assert content(tmp_path / "first") == content(tmp_path / "second")


def test_encode_cleans_texts_as_ingest_does(run: Run, catalogue: Path, tmp_path: Path) -> None:
    catalogue.write_text("item_id,title,maker\n1,Lid &amp;  kettle,Kemp &gt; Co\n", "utf-8")
    command = ["embeddings", "encode", "--items", str(catalogue), "--template", "{title}. {maker}."]
    assert run(*command, "--precision", "bfloat16", "--out", str(tmp_path / "out")).exit_code == 0
    opened = EmbeddingStore.open(tmp_path / "out")
    assert opened.items.select("title", "text").row(0) == ("Lid & kettle", "Lid & kettle. Kemp > Co.")
    assert opened.manifest["dtype"] == "bfloat16"


def test_encode_takes_a_template_for_each_field(run: Run, catalogue: Path, tmp_path: Path) -> None:
    command = ["embeddings", "encode", "--items", str(catalogue), "--id-column", "sku"]
    command += ["--template", "{title}", "--template", "{maker}"]
    for name, widths in {"centred": [], "white": ["--whitening-dimension", "1"] * 2}.items():
        result = run(*command, *widths, "--out", str(tmp_path / name))
        assert result.exit_code == 0, result.stderr
    centred, white = (EmbeddingStore.open(tmp_path / name) for name in ("centred", "white"))
    assert white.manifest["template"] == ["{title}", "{maker}"]
    assert white.whitened().shape == (3, 2)
    assert centred.whitened().shape == (3, centred.manifest["dimension"]) == (3, 2 * 256)
    one = ["--whitening-dimension", "1", "--out", str(tmp_path / "refused")]
    fails(run(*command, *one), "--whitening-dimension", "lists of one length")


def test_encode_replaces_a_store_but_nothing_else(run: Run, catalogue: Path, store: Path, tmp_path: Path) -> None:
    command = ["embeddings", "encode", "--items", str(catalogue), "--id-column", "sku", "--out"]
    assert run(*command, str(store)).exit_code == 0
    assert EmbeddingStore.open(store).item_ids == ["A 1", "7", "ß"]
    (store / "notes.txt").write_text("mine")
    before = content(store)
    fails(run(*command, str(store)), "exists already", "--force")
    assert content(store) == before
    fails(run(*command, str(store), "--force"), "did not write")
    assert content(store) == before
    (store / "notes.txt").unlink()
    assert run(*command, str(store), "--force").exit_code == 0
    (tmp_path / "empty").mkdir()
    assert run(*command, str(tmp_path / "empty")).exit_code == 0
    fails(run(*command, str(tmp_path), "--force"), "would replace")  # it holds the catalogue
    fails(run(*command, str(catalogue), "--force"), "would replace")
    other = tmp_path / "other.txt"
    other.write_text("mine")
    fails(run(*command, str(other), "--force"), "is not a folder")
    assert catalogue.read_text("utf-8") == CATALOGUE


def test_neither_the_current_folder_nor_one_above_is_replaced(
    run: Run, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "work" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    for out in (".", "..", str(here)):
        command = ["embeddings", "encode", "--items", str(catalogue), "--id-column", "sku", "--force"]
        fails(run(*command, "--out", out), "would replace the current folder")
    assert here.is_dir()


@pytest.mark.parametrize(
    ("table", "options", "messages"),
    [
        ("code,title\n1,a\n", [], ["column 'item_id' is missing", "'code'", "--id-column"]),
        ("sku,asin,title\n1,2,a\n", [], ["column 'item_id' is missing", "'asin'", "--id-column"]),
        (CATALOGUE, ["--id-column", "sku", "--template", "{name}"], ["{name} is no column", "maker"]),
        (CATALOGUE, ["--id-column", "sku", "--template", ""], ["--template"]),
        (
            "sku,name\n1,Red chair\n",
            ["--id-column", "sku"],
            ["{title}: the items have no such column", "name"],
        ),
        (CATALOGUE, ["--id-column", "sku", "--model", "google/x"], ["needs its commit", "t5-nano"]),
        (CATALOGUE, ["--id-column", "maker"], ["row", "an id is missing"]),
        ("item_id,title\n1,a\n1,b\n", [], ["1"]),
        ("item_id,title\n", [], ["no rows"]),
        ("", [], ["empty"]),
    ],
)
def test_bad_catalogues_and_settings_give_one_message(
    run: Run, tmp_path: Path, table: str, options: list[str], messages: list[str]
) -> None:
    (tmp_path / "items.csv").write_text(table, "utf-8")
    out = tmp_path / "out"
    result = run("embeddings", "encode", "--items", str(tmp_path / "items.csv"), "--out", str(out), *options)
    fails(result, *messages)
    assert list(tmp_path.iterdir()) == [tmp_path / "items.csv"]


def test_a_catalogue_that_is_not_there(run: Run, tmp_path: Path) -> None:
    command = ["embeddings", "encode", "--out", str(tmp_path / "out"), "--items"]
    fails(run(*command, str(tmp_path / "absent.csv")), "absent.csv")
    fails(
        run(*command, str(tmp_path / "items.xlsx")),
        "export it as CSV, JSON lines or Parquet; the names end in .csv",
    )


def test_the_formats_are_those_that_can_be_written() -> None:
    assert tuple(WRITERS) == FORMATS


@pytest.mark.parametrize("form", FORMATS)
def test_export(run: Run, store: Path, tmp_path: Path, form: str) -> None:
    before = content(store)
    out = tmp_path / "out"
    command = ["embeddings", "export", str(store), "--format", form, "--out"]
    result = run(*command, str(out), "--whitened")
    assert result.exit_code == 0, result.stderr
    assert "5 vectors of width 2 written to" in result.stdout
    assert out.is_dir() == bool(WRITERS[form][1])
    assert not out.is_dir() or {path.name for path in out.iterdir()} == set(WRITERS[form][1])
    fails(run(*command, str(out)), "exists already", "--force")
    assert "width 4" in run(*command, str(out), "--force").stdout
    for place in (store, store / "inside", tmp_path):
        fails(run(*command, str(place), "--force"), "would replace")
    if form == "parquet":
        assert np.array_equal(pl.read_parquet(out)["embedding"].to_numpy(), VECTORS)
    assert content(store) == before


def test_a_damaged_store_is_not_exported(run: Run, store: Path, tmp_path: Path) -> None:
    np.save(store / "embeddings.npy", VECTORS * 2)
    out = tmp_path / "out"
    fails(run("embeddings", "export", str(store), "--format", "npy", "--out", str(out)), "another hash")
    assert not out.exists()


def test_a_place_below_a_file_cannot_be_written(run: Run, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    result = run("embeddings", "export", str(store), "--format", "npy", "--out", str(out))
    fails(result, "cannot be written")


def test_neighbours(run: Run, store: Path) -> None:
    result = run("embeddings", "neighbours", str(store), "c", "-k", "3")
    expected = EmbeddingStore.open(store).neighbours("c", 3)
    assert [line.split()[1] for line in result.stdout.splitlines()] == expected["item_id"].to_list()
    fails(run("embeddings", "neighbours", str(store), "z"), "no item 'z'")
    raw = run("embeddings", "neighbours", str(store), "c", "-k", "3", "--raw").stdout
    expected = EmbeddingStore.open(store).neighbours("c", 3, raw=True)
    assert [float(line.split()[0]) for line in raw.splitlines()] == pytest.approx(expected["cosine"], abs=1e-4)


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "polars", "numpy", "pyarrow", "pydantic"}
    for arguments in (["--help"], ["embeddings", "--help"], ["embeddings", "encode", "--help"]):
        code = (
            f"import sys\nfrom hierrec.cli import main\nmain({arguments}, standalone_mode=False)\n"
            f"print('heavy:', *({heavy} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "heavy:"
