"""Models are found in the package, in a folder, or on a hub (here a local server)."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hierrec.core.errors import ModelError
from hierrec.encode.model_files import ModelFiles

from tests.encode.encoders import item_encoder
from tests.encode.tiny_models import ModelFolder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_bundled_model_is_found_without_network() -> None:
    files = ModelFiles.find("t5-nano")
    assert (files.name, files.revision) == ("t5-nano", None)
    assert files.hashes.keys() == {"config_sha256", "tokenizer_sha256", "weights_sha256"}


def test_a_folder_goes_by_its_own_name(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ModelFiles.find(str(copy)).name == "copy"
    monkeypatch.chdir(copy)
    assert ModelFiles.find(".").name == "copy"
    assert ModelFiles.find(".").hashes == ModelFiles.find(str(copy)).hashes


def test_shards_are_read_and_hashed(copy: Path) -> None:
    from transformers import T5EncoderModel

    T5EncoderModel.from_pretrained(copy).save_pretrained(copy, max_shard_size="5KB")
    (copy / "model.safetensors").unlink(missing_ok=True)
    files = ModelFiles.find(str(copy))
    assert len(files.weights) > 2
    before = files.hashes["weights_sha256"]
    shard = files.weights[-1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x7f")
    assert ModelFiles.find(str(copy)).hashes["weights_sha256"] != before
    shard.unlink()
    with pytest.raises(ModelError, match=f"{shard.name} is missing"):
        ModelFiles.find(str(copy))
    (copy / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match="damaged"):
        ModelFiles.find(str(copy))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "config.json is missing"),
        ("tokenizer*", "no tokenizer files"),
        ("model.safetensors", "never from pickle"),
    ],
)
def test_incomplete_folders(copy: Path, name: str, message: str) -> None:
    (copy / "pytorch_model.bin").write_bytes(b"pickle")
    for path in copy.glob(name):
        path.unlink()
    with pytest.raises(ModelError, match=message):
        ModelFiles.find(str(copy))


@pytest.mark.parametrize("model", ["/no/such/folder", "./nothing", "a/b/c", "../x", "~/none/x/y", ""])
def test_no_such_folder(model: str) -> None:
    with pytest.raises(ModelError, match=r"(no folder|config.json is missing)(.|\n)*t5-nano"):
        ModelFiles.find(model)


@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:7]])
def test_a_hub_model_needs_its_commit(revision: str | None) -> None:
    with pytest.raises(ModelError, match=r"revision: a hub model needs its commit(.|\n)*t5-nano"):
        ModelFiles.find("google-t5/t5-small", revision)


def test_only_a_hub_model_has_a_revision(copy: Path) -> None:
    for model in ("t5-nano", str(copy)):
        with pytest.raises(ModelError, match="only a hub model"):
            ModelFiles.find(model, COMMIT)


@pytest.fixture
def hub(model_folder: ModelFolder) -> Iterator[ThreadingHTTPServer]:
    """A hub with one model, `lab/tiny` at `COMMIT`, that records its requests."""
    folder = model_folder("t5")

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server = self.server
            assert isinstance(server, ThreadingHTTPServer)
            server.requests.append(self.path)  # type: ignore[attr-defined]
            if self.path.split("?")[0] == f"/api/models/lab/tiny/revision/{COMMIT}":
                files = [{"rfilename": path.name} for path in [*folder.iterdir(), Path("pytorch_model.bin")]]
                self.answer(json.dumps({"id": "lab/tiny", "sha": COMMIT, "siblings": files}).encode())
            elif self.path.startswith(f"/api/models/lab/tiny/tree/{COMMIT}"):
                tree = [
                    {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0" * 40}
                    for path in folder.iterdir()
                ]
                self.answer(json.dumps(tree).encode())
            elif self.path.startswith(f"/lab/tiny/resolve/{COMMIT}/"):
                self.answer((folder / self.path.rsplit("/", 1)[1]).read_bytes())
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.requests = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def find_on_hub(home: Path, port: int, model: str = "lab/tiny", **settings: str) -> str:
    """Find a model in a new process, as the hub's client reads its settings once; return the output."""
    script = f"""
from hierrec.core.errors import ModelError
from tests.encode.encoders import item_encoder
try:
    encoder = item_encoder({model!r}, 32, revision={COMMIT!r})
    print(encoder.files.name, encoder.files.revision, encoder.fingerprint)
except ModelError as error:
    print(error)
"""
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        environment.pop(name, None)
    environment |= settings
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_hub_model_is_fetched_once_and_kept(
    hub: ThreadingHTTPServer, model_folder: ModelFolder, tmp_path: Path
) -> None:
    here = item_encoder(model_folder("t5"), 32)
    expected = f"lab/tiny {COMMIT} {here.fingerprint}"
    port, requests = hub.server_port, hub.requests  # type: ignore[attr-defined]
    assert find_on_hub(tmp_path, port) == expected
    assert any(path.endswith("/model.safetensors") for path in requests)
    assert not any(path.endswith(".bin") for path in requests)
    requests.clear()
    assert find_on_hub(tmp_path, port) == expected
    assert requests == []

    for path in tmp_path.rglob("model.safetensors"):  # as if the download had been interrupted
        path.unlink()
    assert find_on_hub(tmp_path, port) == expected


def test_a_model_that_the_hub_does_not_have(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    message = find_on_hub(tmp_path, hub.server_port, "lab/other")
    assert message.startswith("model lab/other: cannot be fetched from the hub")
    assert "t5-nano" in message


def test_an_unreachable_hub(tmp_path: Path) -> None:
    message = find_on_hub(tmp_path, 9, HF_HUB_OFFLINE="1")  # without it, the client tries for 24 s
    assert message.startswith("model lab/tiny: cannot be fetched from the hub")
    assert "local folder" in message
