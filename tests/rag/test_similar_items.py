"""Similar items of the recent history, youngest first, never the item itself."""

from pathlib import Path

import numpy as np
from hierrec.index.build import build_index
from hierrec.model.sources import NO_ITEM, Query
from hierrec.rag.similar_items import SimilarItems
from hierrec.search.index import ItemIndex
from numpy.typing import NDArray


def test_neighbours_of_each_recent_item() -> None:
    vectors = np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32)
    vectors[7] = vectors[3]  # twins
    source = SimilarItems(ItemIndex.build(vectors), vectors, neighbours=3, recent=2)
    query = Query(np.zeros((2, 1), np.float32), np.array([0, 1]), [np.array([1, 2, 3]), np.array([5])])
    found = source.retrieve(query)
    assert found.items.shape == found.similarities.shape == found.origins.shape == (2, 6)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for item, place in ((3, slice(0, 3)), (2, slice(3, 6))):
        cosine = unit @ unit[item]
        cosine[item] = -np.inf
        np.testing.assert_allclose(found.similarities[0, place], np.sort(cosine)[::-1][:3], atol=1e-5)
        assert item not in found.items[0, place]
    assert found.items[0, 0] == 7
    assert found.ages.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.origins[0].tolist() == [3, 3, 3, 2, 2, 2]
    assert (found.items[1, 3:] == NO_ITEM).all()


def test_an_approximate_index_that_finds_fewer_leaves_no_infinity(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    index = build_index(vectors, tmp_path / "index", "s", "ivf", recall=0.1)
    source = SimilarItems(index, vectors, neighbours=20, recent=1)
    histories = [np.array([item]) for item in range(60)]
    found = source.retrieve(Query(np.zeros((60, 1), np.float32), np.arange(60), histories))
    assert (found.items == NO_ITEM).any()
    assert np.isfinite(found.similarities).all()


def test_an_item_without_text_is_near_none_and_no_item_is_near_that_is_unlike_it() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [-1, 0], [0, 0], [0, 0]], np.float32)
    source = SimilarItems(ItemIndex.build(vectors), vectors, neighbours=4, recent=1)
    query = Query(np.zeros((2, 1), np.float32), np.arange(2), [np.array([0]), np.array([3])])
    found = source.retrieve(query).items
    assert found[0].tolist() == [1, NO_ITEM, NO_ITEM, NO_ITEM]
    assert (found[1] == NO_ITEM).all()


class CountingIndex(ItemIndex):
    """An index that remembers how many queries it has answered."""

    asked = 0

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.asked += len(queries)
        return super().search(queries, k)


def test_only_items_of_recent_histories_are_looked_up_and_each_once() -> None:
    vectors = np.random.default_rng(0).standard_normal((500, 5)).astype(np.float32)
    index = CountingIndex(ItemIndex.build(vectors).index)
    source = SimilarItems(index, vectors, neighbours=3, recent=2)
    assert index.asked == 0
    query = Query(np.zeros((2, 1), np.float32), np.array([0, 1]), [np.array([9, 1, 2]), np.array([2])])
    first = source.retrieve(query)
    assert index.asked == 2
    np.testing.assert_array_equal(source.retrieve(query).items, first.items)
    assert index.asked == 2


def test_neighbours_do_not_depend_on_what_was_asked_before() -> None:
    vectors = np.random.default_rng(1).standard_normal((80, 6)).astype(np.float32)
    histories = [np.array([item]) for item in range(80)]
    states, users = np.zeros((80, 1), np.float32), np.arange(80)
    together = SimilarItems(ItemIndex.build(vectors), vectors, 7, 1).retrieve(Query(states, users, histories))
    alone = SimilarItems(ItemIndex.build(vectors), vectors, 7, 1)
    for user in reversed(range(80)):
        found = alone.retrieve(Query(states[:1], users[:1], [histories[user]]))
        np.testing.assert_array_equal(found.items[0], together.items[user])
        np.testing.assert_array_equal(found.similarities[0], together.similarities[user])
