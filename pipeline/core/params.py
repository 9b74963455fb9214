"""Read params.yaml into frozen sections. Unknown keys are refused; errors name file, line and key."""

import json
import re
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .errors import ParamsError

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # torch and numpy accept it; member i of an ensemble uses seed + i
Md5 = Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")]
"""An MD5 checksum, empty if a shell could not compute it. `ingest` refuses an empty one if the file exists."""
HUB_ID = re.compile(r"(?!\.)[\w.-]+(/[\w.-]+)?")  # of a model, such as google-t5/t5-small
COMMIT = re.compile(r"[0-9a-f]{40}")  # of a model of a hub
Precision = Literal["float32", "bfloat16"]
"""Precision of a model's matrix products. Float16 ends at 65,504: T5 encoders overflow in it."""


class Section(BaseModel):
    """A frozen section of params.yaml. Types are strict: "2" and true are not numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Sections(Section, extra="ignore"):
    """Base of a model of some sections of params.yaml. It ignores the other sections."""


P = TypeVar("P", bound=Section)
Found = tuple[list[str], int | None, ErrorDetails]  # keys, line and problem


def read_params(path: Path, model: type[P]) -> P:
    """Read params.yaml as DVC does (YAML 1.2: `1e-3` is a number), and check it against a model of its sections.

    Raises ``ParamsError`` if the file is missing, unreadable or not YAML; or, with line and key, if a key is unknown,
    missing, of the wrong type or out of range.
    """
    try:
        document = YAML(typ="rt").load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ParamsError("file is missing", str(path), "run from the root of the project") from None
    except OSError as error:
        raise ParamsError(f"cannot be read ({error.strerror})", str(path), "make it readable") from None
    # ValueError: not UTF-8, or a number of 5,000 digits
    except (YAMLError, ValueError, RecursionError) as error:
        raise ParamsError(f"not YAML: {error}", str(path), "correct the syntax there") from None
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = [(*_place(document, problem["loc"]), problem) for problem in error.errors()]
        problems = [_describe(path, *one, model) for one in found if not _follows(one, found)]
        raise ParamsError("; ".join(problems), remedy="correct params.yaml; every key is described there") from None


def _place(document: Any, location: tuple[str | int, ...]) -> tuple[list[str], int | None]:
    """Return the keys of a problem's location, and the line of the innermost key that exists."""
    node, line, keys = document, None, []
    for key in location:
        has_keys = isinstance(node, dict) if isinstance(key, str) else isinstance(node, list)
        if not has_keys:
            break  # pydantic's name of one of several types
        keys.append(str(key))
        try:
            line = node.lc.data[key][0] + 1
            node = node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return keys, line


def _follows(one: Found, found: list[Found]) -> bool:
    """Return whether the message repeats another: of a value inside this key, or of this key as another type."""
    keys, _, problem = one
    others = [(place, other["type"]) for place, _, other in found if other is not problem]
    inner = any(place[: len(keys)] == keys and len(place) > len(keys) for place, _ in others)
    other_type = problem["type"].endswith("_type")
    return inner or (other_type and any(place == keys and not kind.endswith("_type") for place, kind in others))


def _describe(path: Path, keys: list[str], line: int | None, problem: ErrorDetails, model: type[BaseModel]) -> str:
    """Return file, line, key and message of a problem."""
    place = str(path) if line is None else f"{path}, line {line}"
    key = f", key {'.'.join(keys)}" if keys else ""
    return f"{place}{key}: {_message(problem, model)}"


def _message(problem: ErrorDetails, model: type[BaseModel]) -> str:
    """Return pydantic's message; for an unknown key also the known key with the most similar spelling."""
    message, location = problem["msg"].removeprefix("Value error, "), problem["loc"]
    if problem["type"] != "extra_forbidden":
        value = problem["input"]
        named = message == problem["msg"] and problem["type"] != "missing" and not isinstance(value, dict | list)
        if isinstance(value, date):  # YAML reads it so without quotes
            return f"{message}, not the date {value}; write it in quotes"
        return f"{message}, not {json.dumps(value, ensure_ascii=False, default=str)}" if named else message
    similar = get_close_matches(str(location[-1]), _known_keys(model, location[:-1]), n=1)
    return f"{message}; did you mean {similar[0]}?" if similar else message


def _known_keys(section: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the section at a location within another section; none if there is no section."""
    for key in location:
        annotation = section.model_fields[str(key)].annotation
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        sections = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if not sections:
            return []
        section = sections[0]
    return list(section.model_fields)
