"""Stage `plan`: write the full settings and texts of every run.

`work/plan/texts/NAME.json`: the encoder's settings and one text per item, or why these vectors are skipped.
`work/plan/rows/NAME.json`: the section `train` and the whitening, or the name of the equal row. Later stages depend on
these files alone, so a run is repeated only if its own settings or texts changed.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl
from hierrec.core.errors import DataError
from hierrec.core.files import atomic_directory, write_json
from hierrec.core.tables import load_items
from hierrec.encode.template import placeholders, render_fields

from bench.ablation.encoders import why_not
from bench.ablation.settings import (
    HERE,
    WORK,
    Settings,
    command,
    load_document,
    load_settings,
    with_overrides,
)

DEFAULT = "default"
ABSTRACT = "abstract"


def main() -> None:
    """Write `work/plan/`."""
    settings = load_settings()
    document = load_document(HERE / settings.params)
    items = load_items(HERE / settings.data / "items.parquet")
    write_plan(WORK / "plan", settings, document, items, read_abstracts(HERE, settings.abstracts))


def read_abstracts(folder: Path, name: str | None) -> dict[str, str]:
    """Return abstracts by item id; empty if the file is missing.

    Raises:
        DataError: the file is not a JSON object of texts.
    """
    if name is None or not (folder / name).is_file():
        return {}
    try:
        abstracts = json.loads((folder / name).read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"not JSON: {error}", name, "mend it, or set abstracts to null") from None
    if not isinstance(abstracts, dict) or not all(isinstance(text, str) for text in abstracts.values()):
        raise DataError("not an object of texts by item id", name, "mend it, or set abstracts to null")
    return abstracts


def write_plan(
    folder: Path,
    settings: Settings,
    document: dict[str, Any],
    items: pl.DataFrame,
    abstracts: dict[str, str],
) -> None:
    """Write the plan.

    Args:
        folder: the output folder.
        settings: of this ablation.
        document: the project's params.yaml.
        items: the item table.
        abstracts: by item id; may be empty.

    Raises:
        ParamsError: an override names no key, or its value is refused.
    """
    known = pl.Series(ABSTRACT, [abstracts.get(item) for item in items["item_id"]], pl.String)
    items = items.with_columns(known)
    rows = {name: row_of(document, settings.epochs, overrides) for name, overrides in settings.rows.items()}
    with atomic_directory(folder) as temporary:
        for name, overrides in settings.vectors.items():
            write_json(temporary / "texts" / f"{name}.json", texts_of(document, overrides, items))
        for name, row in rows.items():
            same = name != DEFAULT and row == rows[DEFAULT]
            write_json(temporary / "rows" / f"{name}.json", {"same_as": DEFAULT} if same else row)


def row_of(document: dict[str, Any], epochs: int, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a row without its seed: `{"train": {...}, "whitening_dimension": …}`."""
    params = with_overrides(document, {"train.epochs": epochs, **overrides})
    return {
        "train": params.train.model_dump(mode="json", exclude={"seed"}),
        "whitening_dimension": params.encode.whitening_dimension,
    }


def texts_of(document: dict[str, Any], overrides: dict[str, Any], items: pl.DataFrame) -> dict[str, Any]:
    """Return the encoder's settings and its texts, or `{"skipped": reason}`."""
    encode = with_overrides(document, {f"encode.{key}": value for key, value in overrides.items()}).encode
    reason = why_not(encode.model)
    named = {column for template in encode.templates for column in placeholders(template)}
    if ABSTRACT in named and items[ABSTRACT].is_null().all():
        reason = "there are no abstracts (params.yaml, key abstracts)"
    if reason is not None:
        return {"skipped": reason}
    return {
        "encoder": {
            "model": encode.model,
            "revision": encode.revision,
            "max_length": encode.max_length,
            "batch_tokens": encode.batch_tokens,
        },
        "texts": render_fields(items, encode.templates)[1],
    }


if __name__ == "__main__":
    command(main)
