"""Broken files of further texts."""

import json
from pathlib import Path

from tests.ingest.broken_input import PAGE, Broken, Params
from tests.ingest.own_tables import TABLES, write_tables


def text(content: bytes, message: str, name: str = "further.json") -> Broken:
    """Sound tables and a broken file of further texts."""

    def make(folder: Path) -> Params:
        params = write_tables(folder, {**TABLES, name: content})
        return {**params, "ingest.item_text": str(folder / name)}

    return Broken(make, rf"{name}{message}")


FURTHER_TEXTS = {
    "text: empty": text(b"", ": is not JSON"),
    "text: truncated": text(b'{"cup": "A', ": is not JSON"),
    "text: web page": text(PAGE, ": is not JSON"),
    "text: Latin-1": text('{"cup": "é"}'.encode("latin-1"), ": is not JSON .*codec"),
    "text: a list": text(b'["cup"]', ": is JSON, but not an object"),
    "text: numbers": text(b'{"cup": 5}', ", key 'cup': is not a text"),
    "text: nested": text(b'{"cup": {"text": "A"}}', ", key 'cup': is not a text"),
    "text: too deep": text(b"[" * 100_000, ": is not JSON"),
    "text: half a surrogate pair": text(rb'{"cup": "\ud83d"}', ", key 'cup': has half of a surrogate pair"),
    "text: key twice": text(b'{"cup": "A", "cup": "B"}', ", row 2: item_id 'cup' is there already, on row 1"),
    "text: key empty": text(b'{"": "A"}', ", row 1, column item_id: an id is missing"),
    "text: other ids": text(json.dumps({"1": "A", "2": "B"}).encode(), ": none of its 2 ids, such as '1', is the id"),
    "text: no ids": text(b"{}", ": none of its 0 ids is the id of an item"),
    "text: blank only": text(b'{"cup": " "}', ": none of its 0 ids is the id of an item"),
    "text: kind of file": text(b"cup: A", ": there is no reader for .yaml", "further.yaml"),
    "text: no column of texts": text(b"item_id,plot\ncup,A\n", ": column text is missing", "further.csv"),
    "text: no column of ids": text(b"id,text\ncup,A\n", ": column item is missing", "further.csv"),
    "text: row twice": text(b"item,text\ncup,A\ncup,A\n", ", row 2: item_id 'cup' is there", "further.csv"),
}
