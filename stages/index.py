"""index: FAISS over the whitened item vectors."""

from hierrec.item_llm.store import EmbeddingStore
from hierrec.params import IndexParams
from hierrec.retrieval.index import ItemIndex

from stages.stage import INDEX, ITEM_EMBEDDINGS, Summary, stage


@stage("index", libraries=("faiss-cpu",))
def main(index: IndexParams) -> Summary:
    """Write `artifacts/index/`."""
    store = EmbeddingStore.open(ITEM_EMBEDDINGS)
    item_index = ItemIndex.build(store.whitened(), index.factory)
    item_index.write(INDEX, store.hash)
    return [
        f"index: {len(item_index)} items by cosine, {index.factory}"
        f" ({'exact' if item_index.exact else 'approximate'})",
        f"tied to store {store.hash[:12]}",
        f"written to {INDEX}/",
    ]


if __name__ == "__main__":
    main()
