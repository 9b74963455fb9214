"""Frozen models of params.yaml, one per stage. Unknown keys are refused, and an error names file, line and key."""

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .errors import ParamsError

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""What torch and numpy both take; the members of an ensemble count on from it."""
Md5 = Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")]
"""A checksum; empty where a shell could not compute it, which is refused once it is clear that the file exists."""


LARGEST, DEEPEST = 2**18, 50
"""Characters of params.yaml, and how deep its values nest, at most."""


class Section(BaseModel):
    """A frozen section of params.yaml. Types are strict: neither "2" nor true is a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    @field_validator("*")
    @classmethod
    def _no_denormal(cls, value: object) -> object:
        # Training flushes denormal numbers to zero: they would be written as 0.0.
        for number in value.values() if isinstance(value, dict) else [value]:
            if isinstance(number, float) and 0 < abs(number) < sys.float_info.min:
                raise ValueError(f"{number} is too small to compute with")
        return value


class Counts(Section):
    """What a data set must hold, or ingest stops."""

    interactions: Positive
    users: Positive
    rated_items: Positive
    items: Positive


class IngestParams(Section):
    """Where the interactions come from."""

    dataset: Literal["movielens", "files", "sample"]
    archive: Annotated[str, Field(min_length=1)]
    """`movielens`: URL or path of the archive in MovieLens-1M's layout."""
    md5: Md5 | None
    expected: Counts | None
    interactions: Annotated[str, Field(min_length=1)] | None
    """`files`: path (or URL) of a table of user, item, timestamp; CSV or Parquet."""
    interactions_md5: Md5 | None
    items: Annotated[str, Field(min_length=1)] | None
    """`files`: path (or URL) of a table of items and their texts; CSV or Parquet."""
    items_md5: Md5 | None
    item_text: Annotated[str, Field(min_length=1)] | None
    """Path (or URL) of further text per item, for any data set; JSON, CSV or Parquet."""
    item_text_md5: Md5 | None
    candidates: Literal["interacted", "all"]
    """Items that may be ranked: those with an interaction, or all that are listed."""

    @model_validator(mode="after")
    def _complete(self) -> "IngestParams":
        for key in ("interactions", "items"):
            if self.dataset == "files" and getattr(self, key) is None:
                raise ValueError(f"dataset: files needs the path of a table, but {key} is null")
        return self


class EncodeParams(Section):
    """The item LLM: text in, one frozen vector per item out."""

    model: Annotated[str, Field(min_length=1)]
    """`t5-nano` (bundled), a model id of a hub, or a path."""
    revision: str | None
    template: Annotated[str, Field(min_length=1)]
    max_length: Annotated[int, Field(ge=2)]
    """Tokens of a text that are read; the rest is cut."""
    batch_tokens: Positive
    whitening_dimension: Positive | None
    """Dimensions kept by PCA whitening; null: vectors are centred only."""
    shard_rows: Positive | None = None
    """Items of a shard of the store; null: everything in one file."""
    engine: Literal["local", "ray"] = "local"
    workers: Positive | None = None
    """`ray`: processes that encode; null: as many as the cluster has processors (of `device: cuda`: GPUs)."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What vectors are computed on; a GPU's differ in their last bits."""


class IndexParams(Section):
    """FAISS over the item vectors."""

    kind: Literal["auto", "flat", "ivf", "hnsw", "ivf_pq"]
    """`flat` is exact; `auto` chooses by the number of items."""
    exact_up_to: Annotated[int, Field(ge=0)]
    """Items up to which `auto` stays exact."""
    recall: Annotated[float, Field(gt=0, le=1)]
    """Share of the true 20 nearest items that an approximate index is tuned to find."""


class BackboneParams(Section):
    """The recommendation LLM: a decoder of transformers, from a config or pre-trained."""

    pretrained: str | None
    revision: str | None
    config: dict[str, Any]
    """`model_type` and the keys of that type's config; not read where `pretrained` is given."""


class PoolingParams(Section):
    """How the hidden states up to a position become the user there."""

    kind: Literal["mean", "last", "window", "recency"]
    window: Positive


class TrainParams(Section):
    """The recommendation LLM, its head, and how they are trained."""

    seed: Seed
    members: Positive = 1
    """Models that rank together by their mean logits, each as it would be alone with its seed: `seed`, `seed` + 1, …"""
    history: Annotated[int, Field(ge=2)]
    """Items of a history that are read at most; longer ones are cut into windows for training."""
    residual_width: Annotated[int, Field(ge=0)]
    """Width of the learned vector beside each item's frozen one; 0: frozen vectors only."""
    residual_dropout: Share = 0.0
    """Share of the items whose residual training leaves out, where they are read and where they are ranked."""
    input_dropout: Share
    backbone: BackboneParams
    pooling: PoolingParams
    loss: Literal["sampled_softmax", "softmax"]
    negatives: Positive
    epochs: Positive
    batch_windows: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    gradient_clip: Annotated[float, Field(gt=0)]
    average: Share
    """Decay, per step, of the running average of the weights, which is what is validated and kept; 0: the latest."""
    validate_every: Positive
    """Epochs between two validations."""
    patience: Positive
    """Validations without a better NDCG@10 after which training stops."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the model's products in training. Weights, scores and loss, what is kept and what is evaluated: float32."""
    processes: Positive = 1
    """Processes that share every batch."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What the model is trained on; its validation is computed on the CPU."""

    @field_validator("precision", mode="before")
    @classmethod
    def _no_float16(cls, value: object) -> object:
        if value == "float16":
            raise ValueError(
                "float16 ends at 65,504: T5 encoders overflow in it, and small gradients of a training vanish;"
                " bfloat16 is as small and has float32's range (items are encoded in float32, always)"
            )
        return value

    @field_validator("processes")
    @classmethod
    def _enough_windows(cls, processes: int, info: ValidationInfo) -> int:
        windows = info.data.get("batch_windows", processes)
        if processes > windows:
            raise ValueError(
                f"{processes} processes cannot share batches of {windows} windows;"
                " lower it, or raise train.batch_windows"
            )
        return processes


class FusionParams(Section):
    """Retrieval-augmented variant: what is retrieved, and how the fusion is learned."""

    sources: Annotated[tuple[Literal["next_items", "items"], ...], Field(min_length=1, strict=False)]
    shortlist: Positive
    """Remembered prefixes with the nearest states, per user, that are ranked again together with their histories."""
    overlap: Annotated[float, Field(ge=0, le=1)]
    """Weight of the histories in that ranking; the rest is the states'."""
    neighbours: Positive
    """Remembered prefixes that are kept of the shortlist."""
    following: Positive
    """Items taken from a remembered prefix: the one that came next, and those after it."""
    preceding: Annotated[int, Field(ge=0)]
    """Items taken from before its end."""
    item_neighbours: Positive
    """Similar items retrieved per item of the recent history."""
    recent_items: Positive
    """Items of the recent history that are looked up."""
    epochs: Positive
    batch_users: Positive
    learning_rate: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _distinct(self) -> "FusionParams":
        if len(set(self.sources)) != len(self.sources):
            raise ValueError("sources names one source twice")
        if self.neighbours > self.shortlist:
            raise ValueError(f"neighbours {self.neighbours} are kept of a shortlist of only {self.shortlist}")
        return self


class EvaluateParams(Section):
    """Full-catalogue evaluation, and the comparison of the variants."""

    batch_users: Positive
    seed: Seed
    """Of the perturbed histories and of the bootstrap."""
    perturbed_share: Share
    """Share of a history's items that are dropped or replaced to see how robust a variant is."""
    resamples: Positive
    """Bootstrap resamples of the users, for intervals and p-values."""


class Params(Section):
    """The whole of params.yaml."""

    ingest: IngestParams
    encode: EncodeParams
    index: IndexParams
    train: TrainParams
    fusion: FusionParams
    evaluate: EvaluateParams


def load_params(path: Path) -> Params:
    """Read and check params.yaml as DVC reads it (YAML 1.2: `1e-3` is a number).

    Raises:
        ParamsError: the file is missing or unreadable, is not YAML, or a key is unknown, missing, of the wrong type or
            out of range; the message names line and key.
    """
    try:
        text = path.read_text("utf-8")
        _refuse_monsters(path, text)
        document = YAML(typ="rt").load(text)
    except FileNotFoundError:
        raise ParamsError("file is missing", str(path), "run from the root of the project") from None
    except OSError as error:
        raise ParamsError(f"cannot be read ({error.strerror})", str(path), "mend that") from None
    # ValueError: no UTF-8, or a number of 5,000 digits.
    except (YAMLError, ValueError, RecursionError) as error:
        raise ParamsError(f"not YAML: {error}", str(path), "mend the syntax there") from None
    try:
        return Params.model_validate(document)
    except ValidationError as error:
        problems = [
            _describe(path, document, problem["loc"], _message(problem)) for problem in error.errors()
        ]
        raise ParamsError(
            "; ".join(problems), remedy="correct params.yaml; every key is described there"
        ) from None


def _refuse_monsters(path: Path, text: str) -> None:
    """Refuse a file whose parsing could take minutes."""
    depth = deepest = 0
    for character in re.findall(r"[\[\]{}]", text):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    indent = max((len(line) - len(line.lstrip(" -?")) for line in text.splitlines()), default=0)
    if len(text) > LARGEST or deepest > DEEPEST or indent > 2 * DEEPEST:
        raise ParamsError("is too large or nested too deep for params", str(path), "restore it from git")


def _describe(path: Path, document: Any, location: Iterable[str | int], message: str) -> str:
    """Name file, line and key of one problem; the line is that of the nearest key that exists."""
    node, line, keys = document, None, []
    for key in location:
        keys.append(str(key))
        try:
            line = node.lc.data[key][0] + 1
            node = node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    place = str(path) if line is None else f"{path}, line {line}"
    return f"{place}, key {'.'.join(keys)}: {message}" if keys else f"{place}: {message}"


def _message(problem: ErrorDetails) -> str:
    """Return pydantic's message; for an unknown key, with the known key that is spelt most like it."""
    message, location = problem["msg"].removeprefix("Value error, "), problem["loc"]
    if problem["type"] != "extra_forbidden":
        return message
    similar = get_close_matches(str(location[-1]), _known_keys(location[:-1]), n=1)
    return f"{message}; did you mean {similar[0]}?" if similar else message


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the section at a location; none where it is no section."""
    section: type[BaseModel] = Params
    for key in location:
        annotation = section.model_fields[str(key)].annotation
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        sections = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if not sections:
            return []
        section = sections[0]
    return list(section.model_fields)
