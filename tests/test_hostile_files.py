"""Hostile files: no code from a file is executed, and no path outside its folder is opened."""

import ast
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hierrec.core.errors import CheckpointError, DataError, HierrecError, ModelError, ParamsError
from hierrec.core.files import map_npy, sha256_file
from hierrec.encode.model_files import BUNDLED, ModelFiles
from hierrec.model.backbone import build_backbone
from hierrec.params import load_params

from tests.encode.encoders import item_encoder
from tests.old_artifacts.readings import READINGS

ROOT = Path(__file__).parents[1]
OLD = ROOT / "tests" / "old_artifacts" / "version_2"
CODE = sorted(
    path
    for folder in ("pipeline", "stages", "bench", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if ".peers" not in path.parts  # the environment of `make bench-env`
)
MODULES = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
CALLS = {"eval", "exec", "torch.load", "torch.save", "os.system", "yaml.unsafe_load"}


class Harm:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def risks(source: str, explicit: bool = True) -> list[str]:
    """Return the risky calls and imports of a source, each with its line.

    `explicit`: safe defaults of transformers must be given too.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [f"{node.lineno}: {name}" for name in names if name.partition(".")[0] in MODULES]  # type: ignore[attr-defined]
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in CALLS:
            found.append(f"{node.lineno}: {name}")
        if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            found.append(f"{node.lineno}: {name} without allow_pickle=False")
        if given.get("trust_remote_code", "False") != "False":
            found.append(f"{node.lineno}: trust_remote_code")
        loads = explicit and name.startswith("Auto") and name.endswith((".from_pretrained", ".from_config"))
        if loads and given.get("trust_remote_code") != "False":
            found.append(f"{node.lineno}: {name} without trust_remote_code=False")
        if loads and "Model" in name and "pretrained" in name and given.get("use_safetensors") != "True":
            found.append(f"{node.lineno}: {name} without use_safetensors=True")
        if given.get("shell") == "True":
            found.append(f"{node.lineno}: shell")
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_reads_what_may_run(path: Path) -> None:
    if path.is_relative_to(ROOT / "bench" / "peers" / "theirs"):
        pytest.skip("runs the peers, in an environment of its own")
    assert risks(path.read_text("utf-8"), explicit=not path.is_relative_to(ROOT / "bench")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "AutoConfig.from_pretrained(name)",
        "Own.from_config(config, trust_remote_code=trusted)",
        "AutoModel.from_pretrained(name, trust_remote_code=False)",
        "eval(text)",
        "run(command, shell=True)",
    ],
)
def test_the_scan_sees(source: str) -> None:
    assert len(risks(source)) == 1


def test_an_array_of_objects_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Harm(tmp_path / "harm")], object), allow_pickle=True)
    with pytest.raises(DataError, match="not a numpy array"):
        map_npy(tmp_path / "a.npy")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("hierarchical/model.safetensors", "hierarchical"),
        ("rag/fusion.safetensors", "rag"),
        ("rag/datastore/keys.npy", "rag"),
        ("rag/datastore/entries.parquet", "rag"),
    ],
)
def test_a_pickle_in_place_of_a_file_is_refused_and_runs_nothing(tmp_path: Path, name: str, reading: str) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "artifacts"))
    (folder / name).write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    with pytest.raises(CheckpointError):
        READINGS[reading](folder)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["embeddings.npy", "items.parquet", "whitening.safetensors"])
def test_a_pickle_in_a_store_whose_manifest_agrees_is_refused(tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "artifacts"))
    path, manifest = folder / "store" / name, folder / "store" / "manifest.json"
    path.write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    document = json.loads(manifest.read_text("utf-8"))
    document["files"][name] = sha256_file(path)
    manifest.write_text(json.dumps(document), "utf-8")
    with pytest.raises(HierrecError):
        READINGS["whitened"](folder)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
@pytest.mark.parametrize(("artifact", "reading"), [("store", "whitened"), ("index", "nearest")])
def test_a_path_in_a_manifest_is_never_opened(tmp_path: Path, artifact: str, reading: str, name: str) -> None:
    folder = Path(shutil.copytree(OLD, tmp_path / "artifacts"))
    manifest = folder / artifact / "manifest.json"
    document = json.loads(manifest.read_text("utf-8"))
    expected = READINGS[reading](folder)
    manifest.write_text(json.dumps({**document, "files": {**document["files"], name: "0" * 64}}), "utf-8")
    assert READINGS[reading](folder) == expected  # a file of another name is not read
    moved = dict.fromkeys([name], "0" * 64)
    manifest.write_text(json.dumps({**document, "files": moved}), "utf-8")
    with pytest.raises(HierrecError):
        READINGS[reading](folder)


def with_code(folder: Path, harm: Path) -> Path:
    """Add code of its own to a model's folder, and a config and tokenizer that ask for it."""
    (folder / "own.py").write_text(f"open({str(harm)!r}, 'w')\nclass Own: pass\n", "utf-8")
    classes = {"AutoConfig": "own.Own", "AutoModel": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        document = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        path.write_text(json.dumps({**document, "auto_map": classes}), "utf-8")
    return folder


def test_code_in_an_encoders_folder_is_not_run(tmp_path: Path) -> None:
    folder = with_code(Path(shutil.copytree(BUNDLED["t5-nano"], tmp_path / "model")), tmp_path / "harm")
    vectors = item_encoder(folder, 32).encode(["A film"], 64)
    expected = item_encoder("t5-nano", 32).encode(["A film"], 64)
    np.testing.assert_array_equal(vectors, expected)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("model_type", ["gpt2", "own"])
def test_code_in_a_backbones_folder_is_not_run(tmp_path: Path, model_type: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}), "utf-8")
    params = load_params(ROOT / "params.yaml").train.backbone
    hostile = params.model_copy(update={"pretrained": str(with_code(folder, tmp_path / "harm"))})
    with pytest.raises(ModelError, match="cannot load"):
        build_backbone(hostile, 10)
    assert not (tmp_path / "harm").exists()


def test_weights_outside_a_models_folder_are_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUNDLED["t5-nano"], tmp_path / "model"))
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"weight_map": {"shared.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelError, match="names a file outside the folder"):
        ModelFiles.find(str(folder))


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    harm = tmp_path / "harm"
    path.write_text(f"ingest: !!python/object/apply:os.mkdir ['{harm}']\n", "utf-8")
    with pytest.raises(ParamsError):
        load_params(path)
    assert not harm.exists()
