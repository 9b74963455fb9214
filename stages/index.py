"""index: FAISS over the whitened item vectors."""

from hierrec.core.stage import INDEX, ITEM_EMBEDDINGS, Stage, Summary
from hierrec.index.build import build_index, choose_kind
from hierrec.index.params import IndexParams
from hierrec.store.store import EmbeddingStore
from hierrec.store.whitening import WhitenedVectors


@Stage
def main(index: IndexParams) -> Summary:
    """Write `artifacts/index/`."""
    store = EmbeddingStore.open(ITEM_EMBEDDINGS)
    store.check_finite()
    vectors = WhitenedVectors(store.whitening, store.vectors)
    kind = choose_kind(index.kind, len(store.vectors), index.exact_up_to)
    item_index = build_index(vectors, INDEX, store.hash, kind, index.recall)
    reached = item_index.setting.recall_at_20
    short = f"; less than index.recall {index.recall}" if reached < index.recall else ""
    return [
        f"index: {len(item_index):,} items by cosine, {item_index}{short}",
        f"tied to store {store.hash[:12]}",
        f"written to {INDEX}/",
    ]


if __name__ == "__main__":
    main()
