"""Recommendations for people and programs: ids and titles instead of rows and scores."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Unpack

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from ..core.errors import ParamsError
from ..core.sequences import Sequences
from ..core.tables import load_users
from ..model.load import load_scorer
from ..model.scorer import Scored, Scorer
from ..model.sources import ANONYMOUS
from ..rag.checkpoint import inputs_for_use, load_rag
from ..rag.datastore import Datastore
from .answers import TABLE, Answer, Item, Recommendation, SimilarItem, User
from .artifacts import model_folder, require, require_model
from .catalogue import Catalogue, require_some
from .find_items import NotFoundError, nearest
from .rules import Choice, Rules
from .why import explain

BATCH = 64  # histories scored at a time: bounds memory and keeps arrays in the processor's cache

History = User | Sequence[str | int | Item]  # a user of the data, or items by id or title, oldest first


class Recommender:
    """A trained model of either variant, with the data that it was trained on.

        recommender = Recommender.load()
        recommender.recommend(["Toy Story (1995)", "Heat"], k=5)
        recommender.recommend(recommender.user("42"), where="year >= 1990", diversity=0.3)

    A history is a user of the data, or a list of item ids and titles, oldest first; it may be empty. An id wins over
    a title that reads like it. Items of the history are not recommended, unless the model was trained on repeats.

    `variant` is `hierarchical` or `rag`; `item_ids` are in the order of `score`, `user_ids` in that of the data.
    """

    def __init__(self, scorer: Scorer, catalogue: Catalogue, sequences: Sequences, user_ids: list[str]) -> None:
        self._scorer, self._catalogue, self._sequences = scorer, catalogue, sequences
        self._user_rows = {user_id: row for row, user_id in enumerate(user_ids)}
        self.variant = "hierarchical" if scorer.fusion is None else "rag"
        self.item_ids, self.user_ids = catalogue.item_ids, user_ids

    @classmethod
    def load(
        cls,
        model: str | PathLike[str] | None = None,
        *,
        variant: str | None = None,
        data: str | PathLike[str] | None = None,
        item_embeddings: str | PathLike[str] | None = None,
        index: str | PathLike[str] | None = None,
    ) -> "Recommender":
        """Read a trained model.

        Args:
            model: folder `models/final`, `models/refit`, `models/rag` or `models/hierarchical` in a folder of
                artifacts; or that folder, whose `models/final` is read, which knows all items, or without it
                `models/rag`. None: the folder `artifacts`.
            variant: `hierarchical` takes the sequence model of a folder that holds both variants. None: `rag` if the
                folder holds it, else `hierarchical`.
            data, item_embeddings, index: the tables, the embedding store and the index of its vectors, if they lie
                elsewhere. The hierarchical variant needs the index for `similar` only.

        Raises:
            DataError, StoreError, IndexMismatchError, CheckpointError: an artifact is missing or damaged, or they do
                not belong together.
            ParamsError: there is no such variant, or the folder holds variant `hierarchical` only.
        """
        if variant not in (None, "hierarchical", "rag"):
            raise ParamsError(f"there is no variant {variant!r}", "variant", "take hierarchical or rag")
        folder = Path("artifacts" if model is None else model)
        if model is None or (folder / "models").is_dir():
            folder = model_folder(folder, variant or "rag")
        artifacts = Path(os.path.normpath(folder / ".." / ".."))
        tables = Path(data or artifacts / "data")
        store = Path(item_embeddings or artifacts / "item_embeddings")
        index_folder = Path(index or artifacts / "index")
        require_model(folder)
        fused = (folder / "fusion.safetensors").is_file()
        if variant == "rag" and not fused and folder.is_dir():
            raise ParamsError(f"{folder} holds the hierarchical variant only", remedy="take models/rag")
        retrieves = fused and variant != "hierarchical"
        require(folder, tables, store, *([index_folder] if retrieves else []))
        inputs = inputs_for_use(folder, tables, store)
        catalogue = Catalogue(inputs.items, inputs.frozen, inputs.store_hash, index_folder)
        if retrieves:
            scorer = load_rag(folder, inputs, catalogue.index, torch.float32)
            for source in scorer.sources.values():
                if isinstance(source, Datastore):
                    source.nearest.codes  # noqa: B018  the first user should not wait for them
        else:
            scorer = load_scorer(folder / "base" if fused else folder, inputs, torch.float32)
        users = load_users(tables / "users.parquet")["user_id"].to_list()
        return cls(scorer, catalogue, inputs.sequences, users)

    def sequence_model(self) -> "Recommender":
        """Return the hierarchical variant of this model, over the same tables."""
        scorer = copy.copy(self._scorer)  # shares all tensors
        scorer.sources, scorer.fusion = {}, None
        return Recommender(scorer, self._catalogue, self._sequences, self.user_ids)

    def recommend(
        self, history: History, k: int = 10, why: bool = False, **rules: Unpack[Rules]
    ) -> list[Recommendation]:
        """Return the k likeliest next items, best first; fewer where fewer may be recommended.

        Args:
            history: a user, or ids and titles, oldest first.
            k: at least 1.
            why: say where each probability comes from and what was retrieved (`rag` only).
            rules: see `Rules`. All items are ranked; the rules choose from the ranking, then the k best are taken.

        Raises:
            NotFoundError: names the items of the history or of a rule that are not known, or ambiguous.
            ParamsError: k is below 1, a rule is wrong, or `why` is asked of the hierarchical variant.
            DataError: `where` names an unknown column or cannot be computed.
        """
        return self.recommend_many([history], k, why, **rules)[0]

    def answer(self, user: str | None, history: Sequence[str], k: int, why: bool, **rules: Unpack[Rules]) -> Answer:
        """Recommend to a user of the data, or to a history if `user` is None; raises as `recommend`."""
        known = self.user(user) if user is not None else None
        rows = () if known else self._catalogue.rows(history, "history")
        read = known.history if known else tuple(self._catalogue[row] for row in rows)
        asked = known or [item.item_id for item in read]
        return Answer(user, self.variant, read, self.recommend(asked, k, why, **rules))

    def recommend_many(
        self,
        histories: Iterable[History],
        k: int = 10,
        why: bool = False,
        skipped: list[NotFoundError] | None = None,
        **rules: Unpack[Rules],
    ) -> list[list[Recommendation]]:
        """Recommend to many at once, in batches; as `recommend` for each, errors too.

        With a list `skipped`, items of a history that are not known, or are ambiguous, are left out of it, and an
        error for each is appended to the list.
        """
        require_some(k)
        histories = list(histories)
        choice, k, sources = Choice(rules, self._catalogue), min(k, len(self.item_ids)), list(self._scorer.sources)
        best: list[list[Recommendation]] = [[] for _ in histories]
        for places, scored in self._batches(histories, choice.exclude_seen, skipped):
            for row, place in enumerate(places):
                scores = scored.scores[row]  # [n]
                probabilities = scores.softmax(-1)  # [n], for log-probabilities the same as exp
                for item in choice.best(scores, scored.query.histories[row], k):
                    found, score, probability = self._catalogue[item], float(scores[item]), float(probabilities[item])
                    reasons = explain(scored, row, item, sources, self._catalogue, self.user_ids) if why else None
                    best[place].append(Recommendation(found.item_id, found.title, score, probability, reasons))
        return best

    def recommend_table(
        self,
        histories: Iterable[History],
        k: int = 10,
        skipped: list[NotFoundError] | None = None,
        **rules: Unpack[Rules],
    ) -> pl.DataFrame:
        """Return the answer of `recommend_many` as a table, a row for each recommended item.

        Columns: history (place in `histories`, from 0), user_id (null for a list of items), rank (from 1), item_id,
        title, score, probability. Raises as `recommend` does.
        """
        histories = list(histories)
        users = [history.user_id if isinstance(history, User) else None for history in histories]
        found = self.recommend_many(histories, k, False, skipped, **rules)
        rows = [
            {"history": place, "user_id": users[place], "rank": rank, **vars(item)}
            for place, items in enumerate(found)
            for rank, item in enumerate(items, start=1)
        ]
        return pl.DataFrame(rows, TABLE)

    def score(self, history: History, items: Sequence[str | int | Item] | None = None) -> NDArray[np.float32]:
        """Return the scores of items, float32 [n]: logits of variant hierarchical, log-probabilities of variant rag.

        `items` are ids or titles; None: all items, in the order of `item_ids`. The score of an item that may not be
        recommended is -inf. Raises ``NotFoundError`` as `recommend` does.
        """
        return self.score_many([history], items)[0]

    def score_many(
        self, histories: Iterable[History], items: Sequence[str | int | Item] | None = None
    ) -> NDArray[np.float32]:
        """Return the scores of many histories, float32 [B, n]; as `score` for each."""
        rows = np.arange(len(self.item_ids)) if items is None else self._catalogue.rows(items, "items")
        histories = list(histories)
        scores = np.empty((len(histories), len(rows)), np.float32)
        for places, scored in self._batches(histories):
            scores[places] = scored.scores.numpy()[:, rows]
        return scores

    def user(self, user_id: str | int) -> User:
        """Return a user of the data with the whole history; raise ``NotFoundError`` if there is no such user.

        For a user, retrieval leaves out the user's own entries. For the same items as a list, it may find them.
        """
        _, items = self._known(str(user_id))
        return User(str(user_id), tuple(self._catalogue[item] for item in items))

    def item(self, item: str | int | Item) -> Item:
        """Return the item with this id or title; raise ``NotFoundError`` if there is none, or there are several."""
        return self._catalogue[self._catalogue.find(item)]

    def search_items(self, query: str, k: int = 10) -> list[Item]:
        """Return the items whose titles contain the query, then those spelt like it; see `ItemFinder.search`."""
        require_some(k)
        return [self._catalogue[row] for row in self._catalogue.finder.search(query, k)]

    def similar(self, item: str | int | Item, k: int = 10) -> list[SimilarItem]:
        """Return the k items whose texts are most similar, best first; fewer where other similarities are not above 0.

        Raises ``NotFoundError`` as `item` does, and ``ParamsError`` if k is below 1.
        """
        return self._catalogue.similar(self._catalogue.find(item), k)

    def _batches(
        self, histories: Sequence[History], exclude_seen: bool | None = None, skipped: list[NotFoundError] | None = None
    ) -> Iterator[tuple[NDArray[np.int64], Scored]]:
        """Score histories of similar length together, as padding costs time; yield their places too, int64 [B]."""
        scorer = self._scorer
        if exclude_seen is False and not scorer.repeated:
            scorer = copy.copy(scorer)  # shares all tensors
            scorer.repeated = True
        users = np.full(len(histories), ANONYMOUS)
        rows = []
        for place, history in enumerate(histories):
            if isinstance(history, User):
                users[place], items = self._known(history.user_id)  # of these data: an update moves the rows
                rows.append(items)
            else:
                where = "history" if len(histories) == 1 else f"history {place + 1} of {len(histories)}"
                rows.append(self._catalogue.rows(history, where, skipped))
        by_length = np.argsort([len(row) for row in rows], kind="stable")
        for start in range(0, len(by_length), BATCH):
            places = by_length[start : start + BATCH]
            yield places, scorer.score([rows[place] for place in places], users[places])

    def _known(self, user_id: str) -> tuple[int, NDArray[np.int64]]:
        """Return the row and the items of a user of the data."""
        if (row := self._user_rows.get(user_id)) is None:
            alike = nearest(user_id, self.user_ids)
            remedy = "ids that are like it:" if alike else "use the id of a user of the data"
            raise NotFoundError(f"there is no user {user_id!r}", alike, remedy)
        return row, self._sequences.items[slice(*self._sequences.offsets[row : row + 2])]
