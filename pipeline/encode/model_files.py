"""The files of a pre-trained encoder: they are found, checked and hashed without torch."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from ..core.errors import ModelError
from ..core.files import sha256_file, sha256_json
from ..core.params import COMMIT, HUB_ID

BUNDLED = {"t5-nano": Path(__file__).parent / "t5_nano"}

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
    # Of fewer tokenizers (`VOCAB_FILES_NAMES` in transformers).
    *("sentencepiece.model", "spm.model", "spm_char.model", "source.spm", "target.spm", "prophetnet.tokenizer"),
    *("bpe.codes", "dict.txt", "byte_maps.json", "emoji.json", "entity_vocab.json", "normalizer.json"),
    *("target_vocab.json", "vocab-src.json", "vocab-tgt.json", "word_pronunciation.json", "word_shape.json"),
)
OTHERWISE = "set the model to a local folder, or to t5-nano, which is bundled"


@dataclass(frozen=True)
class ModelFiles:
    """A model in a local folder: config, tokenizer and safetensors weights."""

    name: str  # the name in manifests: the bundled model's name, the hub id, or the folder's name
    revision: str | None  # commit of a hub model, else None
    folder: Path

    @classmethod
    def find(cls, model: str, revision: str | None = None) -> "ModelFiles":
        """Find a model; a hub model is downloaded once.

        Args:
            model: `t5-nano`, a folder, or a hub id such as `google-t5/t5-small`.
            revision: the commit of a hub model, 40 hexadecimal digits; the content of a branch or tag may change.

        Raises ``ModelError`` if the model is not found or lacks files, or its revision is missing or has no meaning.
        """
        name, folder = model, BUNDLED.get(model, Path(os.path.expanduser(model)))  # an unknown home stays as it is
        if folder.is_dir():
            if revision is not None:
                what = f"only a hub model has a revision, not {model!r}"
                raise ModelError(what, "revision", "set the revision to null")
            name = model if model in BUNDLED else folder.resolve().name
        elif HUB_ID.fullmatch(model):
            folder = _fetch(model, revision)
        else:
            raise ModelError(f"there is no folder {model!r}", "model", "correct the path, or use t5-nano")
        return cls(name, revision, folder).checked()

    def checked(self) -> "ModelFiles":
        """Return itself; raise ``ModelError`` if the config, the tokenizer or a file of the weights is missing."""
        if not (self.folder / CONFIG).is_file():
            raise ModelError(f"{CONFIG} is missing: not a model of transformers", self.place, OTHERWISE)
        if not self.tokenizer:
            raise ModelError("there are no tokenizer files", self.place, "save the tokenizer beside the model")
        missing = [path.name for path in self.weights if not path.is_file()]
        if missing:
            what = f"{missing[0]} is missing; weights are read from safetensors only, never from pickle"
            remedy = "convert them: AutoModel.from_pretrained(…).save_pretrained(…), and use that folder"
            raise ModelError(what, self.place, remedy)
        return self

    @property
    def place(self) -> str:
        """The model's name in messages."""
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
    """Return the folder of a hub model's snapshot; download it if the hub's cache lacks it."""
    if revision is None or not COMMIT.fullmatch(revision):
        what = f"a hub model needs its commit as revision, 40 hexadecimal digits, not {revision!r}"
        remedy = f"take it from the model's page (Files, History), or {OTHERWISE}"
        raise ModelError(f"{what} (and there is no folder {model!r})", "revision", remedy)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = [CONFIG, WEIGHTS, SHARDS, "model-*-of-*.safetensors", *TOKENIZER]
    snapshot = partial(snapshot_download, model, revision=revision, allow_patterns=wanted)
    try:
        with suppress(LocalEntryNotFoundError, ModelError):  # the second after an interrupted download
            return ModelFiles(model, revision, Path(snapshot(local_files_only=True))).checked().folder
        return Path(snapshot())
    except Exception as error:  # whatever the hub's client and the network raise
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        what = f"cannot be fetched from the hub at revision {revision} ({cause})"
        raise ModelError(what, f"model {model}", OTHERWISE) from error
