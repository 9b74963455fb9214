"""encode: item metadata to text, text to vectors, vectors to the embedding store."""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.core.tables import CANDIDATE_COLUMNS, load_items
from hierrec.encode.encode_items import encode_items
from hierrec.encode.params import EncodeParams


@Stage
def main(encode: EncodeParams) -> Summary:
    """Write `artifacts/item_embeddings/`."""
    items = load_items(DATA / "items.parquet").drop("row", *CANDIDATE_COLUMNS, strict=False)
    return encode_items(items, encode.tuned(MODELS / "encoder"), ITEM_EMBEDDINGS)


if __name__ == "__main__":
    main()
