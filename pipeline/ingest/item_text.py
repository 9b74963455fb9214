"""Further text per item (plots, reviews, descriptions), joined to the items of any data set."""

import dataclasses
import json
from pathlib import Path

import polars as pl

from ..core.errors import DataError, quote
from .checks import refuse_duplicates
from .clean_text import cleaned
from .columns import find_columns
from .json_files import Pairs
from .raw import Interactions, RawDataset
from .sources import md5_file
from .table_files import as_ids, as_text, read_table

COLUMN = "extra_text"
_JSON_REMEDY = 'write one JSON object, {"id": "text", …}, in UTF-8 or in ingest.encoding'


def read_item_text(path: Path, encoding: str = "utf-8") -> pl.DataFrame:
    """Read texts by item id: a JSON object, or a CSV or Parquet table of `item_id` and `text`.

    Args:
        path: of the file.
        encoding: of a text file.

    Returns:
        item_id, extra_text; items whose text is blank are left out.

    Raises:
        DataError: the file is of another kind or damaged, an id is missing or there twice, or a text is none.
    """
    if path.suffix.lower() == ".json":
        return _read_json(path, encoding)
    place = str(path)
    table = read_table(path, encoding=encoding)
    key = find_columns(table.columns, place, ("item",))["item"]
    if "text" not in table.columns:
        raise DataError("column text is missing", place, "name the columns item_id and text")
    texts = as_text(table["text"])
    if texts.dtype != pl.String:
        raise DataError(f"type is {table['text'].dtype}", f"{place}, column text", "write one text per item")
    found = pl.DataFrame({"item_id": as_ids(table[key], place), COLUMN: texts})
    refuse_duplicates(found, ["item_id"], place, "join the texts of an item into one row")
    return found.drop_nulls()


def add_item_text(
    raw: RawDataset[Interactions], path: Path, clean: bool = True, encoding: str = "utf-8"
) -> tuple[RawDataset[Interactions], int, int]:
    """Join the texts of a file to the items of a data set, as column `extra_text`; null where there is none.

    Args:
        raw: the data set.
        path: of the file.
        clean: whether entities and stray white space in the texts are cleaned.
        encoding: of a text file.

    Returns:
        The data set, the number of its items that have got a text, and of ids in the file that it does not list.

    Raises:
        DataError: the file cannot be read (see `read_item_text`), names none of the items, or the items have such a
            column already.
    """
    if COLUMN in raw.items.columns:
        remedy = "rename that column, or set ingest.item_text to null"
        raise DataError(f"the items have a column {COLUMN} already", raw.name, remedy)
    texts = read_item_text(path, encoding)
    if clean:
        texts = texts.with_columns(cleaned(texts[COLUMN])).drop_nulls()
    items = raw.items.join(texts, on="item_id", how="left", maintain_order="left")
    matched = items[COLUMN].count()
    if not matched:
        example = f", such as {quote(texts['item_id'][0])}," if len(texts) else ""
        what = f"none of its {len(texts):,} ids{example} is the id of an item, such as {quote(items['item_id'][0])}"
        raise DataError(
            what, str(path), "key the texts by the ids of the items, or set ingest.item_text to null"
        )
    checksums = {**raw.checksums, "item_text": md5_file(path)}
    return dataclasses.replace(raw, items=items, checksums=checksums), matched, len(texts) - matched


def _read_json(path: Path, encoding: str) -> pl.DataFrame:
    place = str(path)
    try:
        pairs = json.loads(path.read_bytes().decode(encoding).removeprefix("\ufeff"), object_pairs_hook=Pairs)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", place, "mend that") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({error})", place, _JSON_REMEDY) from None
    if not isinstance(pairs, Pairs):
        raise DataError("is JSON, but not an object", place, _JSON_REMEDY)
    for key, text in pairs:
        if not (text is None or isinstance(text, str)):
            raise DataError("is not a text", f"{place}, key {quote(key)}", _JSON_REMEDY)
        try:
            f"{key}{text}".encode()
        except UnicodeEncodeError:
            raise DataError(
                "has half of a surrogate pair", f"{place}, key {quote(key)}", _JSON_REMEDY
            ) from None
    keys = pl.Series("item_id", [key for key, _ in pairs], pl.String)
    found = pl.DataFrame(
        {
            "item_id": as_ids(keys, place),
            COLUMN: as_text(pl.Series([text for _, text in pairs], dtype=pl.String)),
        }
    )
    refuse_duplicates(found, ["item_id"], place, "join the texts of an item into one")
    return found.drop_nulls()
