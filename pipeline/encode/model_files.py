"""Where a pre-trained encoder's files lie, and what they hash to: found and read without torch."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..core.errors import ModelError
from ..core.files import sha256_file, sha256_json

BUNDLED = {"t5-nano": Path(__file__).parent / "t5_nano"}

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
COMMIT = re.compile(r"[0-9a-f]{40}")

OTHERWISE = "set the model to a local folder, or to t5-nano, which is bundled"


@dataclass(frozen=True)
class ModelFiles:
    """A model as a local folder of config, tokenizer and safetensors weights.

    Attributes:
        name: what the model is called in manifests: the bundled name, the hub id, or the folder's own name.
        revision: commit of a hub model, else None.
        folder: where the files lie.
    """

    name: str
    revision: str | None
    folder: Path

    @classmethod
    def find(cls, model: str, revision: str | None = None) -> "ModelFiles":
        """Find a model by bundled name, path, or hub id; the last is downloaded once and kept.

        Args:
            model: `t5-nano`, a folder, or a hub id such as `google-t5/t5-small`.
            revision: the hub model's commit, 40 hexadecimal digits; nothing else names one content for ever.

        Raises:
            ModelError: there is no such model, it cannot be fetched, it has no safetensors weights, or the
                revision is missing or out of place.
        """
        path = Path(model).expanduser()
        if model in BUNDLED or path.is_dir():
            if revision is not None:
                raise ModelError(
                    f"only a hub model has a revision, not {model!r}", "revision", "set the revision to null"
                )
            name, folder = (model, BUNDLED[model]) if model in BUNDLED else (path.resolve().name, path)
        elif re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) and not model.startswith("."):
            name, folder = model, _fetch(model, revision)
        else:
            raise ModelError(f"there is no folder {model!r}", "model", "correct the path, or use t5-nano")
        files = cls(name, revision, folder)
        files.check()
        return files

    def check(self) -> None:
        """Check that config, tokenizer and weights are there.

        Raises:
            ModelError: something is missing.
        """
        if not (self.folder / CONFIG).is_file():
            raise ModelError(f"{CONFIG} is missing: not a model of transformers", self.place, OTHERWISE)
        if not self.tokenizer:
            raise ModelError(
                "there are no tokenizer files", self.place, "save the tokenizer beside the model"
            )
        missing = [path.name for path in self.weights if not path.is_file()]
        if missing:
            raise ModelError(
                f"{missing[0]} is missing; weights are read from safetensors only, never from pickle",
                self.place,
                "convert them: AutoModel.from_pretrained(…).save_pretrained(…), and use that folder",
            )

    @property
    def place(self) -> str:
        """The model's name for messages."""
        return f"model {self.name}"

    @property
    def weights(self) -> list[Path]:
        """The weight files that transformers reads."""
        index = self.folder / SHARDS
        if (self.folder / WEIGHTS).is_file() or not index.is_file():
            return [self.folder / WEIGHTS]
        remedy = "fetch the model again"
        try:
            shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
            outside = [shard for shard in shards if Path(shard).name != shard]
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise ModelError(f"{SHARDS} is damaged", self.place, remedy) from None
        if outside:
            raise ModelError(f"{SHARDS} names a file outside the folder: {outside[0]!r}", self.place, remedy)
        return [index, *(self.folder / shard for shard in shards)]

    @property
    def tokenizer(self) -> list[Path]:
        """The tokenizer's files."""
        return [self.folder / name for name in TOKENIZER if (self.folder / name).is_file()]

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of config, tokenizer and weights."""
        groups = {"config": [self.folder / CONFIG], "tokenizer": self.tokenizer, "weights": self.weights}
        return {
            f"{group}_sha256": sha256_json({path.name: sha256_file(path) for path in paths})
            for group, paths in groups.items()
        }


def _fetch(model: str, revision: str | None) -> Path:
    """Return the folder of a hub model's snapshot, from the hub's cache where it is there already."""
    if revision is None or not COMMIT.fullmatch(revision):
        raise ModelError(
            f"a hub model needs its commit as revision, 40 hexadecimal digits, not {revision!r}"
            f" (and there is no folder {model!r})",
            "revision",
            f"take it from the model's page (Files, History), or {OTHERWISE}",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = [CONFIG, WEIGHTS, SHARDS, "model-*-of-*.safetensors", *TOKENIZER]
    try:
        try:
            cached = Path(
                snapshot_download(model, revision=revision, allow_patterns=wanted, local_files_only=True)
            )
            ModelFiles(model, revision, cached).check()
            return cached
        except (LocalEntryNotFoundError, ModelError):  # not there, or an earlier download was interrupted
            return Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
    except Exception as error:  # whatever the hub's client and the network raise
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"cannot be fetched from the hub at revision {revision} ({cause})", f"model {model}", OTHERWISE
        ) from error
