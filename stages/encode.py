"""encode: item metadata to text, text to vectors, vectors to the embedding store."""

from hierrec.data.tables import load_items
from hierrec.item_llm.encoder import ItemEncoder
from hierrec.item_llm.row_cache import RowCache, encode_texts
from hierrec.item_llm.store import EmbeddingStore
from hierrec.item_llm.template import render
from hierrec.item_llm.whitening import Whitening
from hierrec.params import EncodeParams

from stages.stage import DATA, ITEM_EMBEDDINGS, Summary, cache_dir, stage


@stage("encode", libraries=("torch", "transformers"))
def main(encode: EncodeParams) -> Summary:
    """Write `artifacts/item_embeddings/`."""
    items = load_items(DATA / "items.parquet")
    texts = render(items, encode.template)
    encoder = ItemEncoder.load(encode.model, encode.revision, encode.max_length)
    names = [f"item {item_id}" for item_id in items["item_id"]]
    cache = RowCache(cache_dir("encode"), encoder.cache_key(encode.batch_tokens))
    vectors, encoded = encode_texts(encoder, texts, encode.batch_tokens, cache, names)
    whitening = Whitening.fit(vectors, encode.whitening_dimension)
    EmbeddingStore.write(
        ITEM_EMBEDDINGS, items, texts, vectors, whitening, encode.template, encoder.description
    )
    return [
        f"encode: {len(items)} items by {encode.model}; {encoded} texts encoded, the rest from the cache",
        f"vectors of width {vectors.shape[1]}, whitened to {whitening.projection.shape[1]}",
        f"written to {ITEM_EMBEDDINGS}/",
    ]


if __name__ == "__main__":
    main()
