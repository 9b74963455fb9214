"""Stage `cold ROW SEED`: train without a share of the items, then rank them by text alone.

Writes `results/cold/ROW-SEED.json`: per split and method, the Recall@10 of cold targets among all candidates (`all`),
of cold targets among cold candidates (`cold`), and of warm targets among all (`warm`). Test targets choose nothing.
"""

from typing import Any

import numpy as np
import torch
from hierrec.core.files import read_json, write_json
from hierrec.model.params import TrainParams
from hierrec.model.scorer import Scorer
from hierrec.ranking.evaluator import HistoryScorer, rank_targets
from hierrec.training.trainer import BATCH_USERS
from numpy.typing import NDArray

from bench.ablation.cold_scorers import ModelScorer, TfIdfScorer, chance, residuals
from bench.ablation.cold_split import ColdSplit, choose_cold, split_cold
from bench.ablation.settings import HERE, RESULTS, WORK, ColdSettings, command, load_settings
from bench.ablation.training import Data, frozen_vectors, load_data, train, train_params
from bench.ablation.vector_files import VECTORS

K = 10


def main(name: str, seed: str) -> None:
    """Run one combination of row and seed."""
    settings = load_settings()
    row = read_json(WORK / "plan" / "rows" / f"{name}.json")
    texts = read_json(WORK / "plan" / "texts" / "default.json")["texts"]
    raw = np.load(WORK / "vectors" / "default" / VECTORS, allow_pickle=False)
    frozen = frozen_vectors(raw, row["whitening_dimension"])
    data = load_data(HERE / settings.data)
    result = measure(data, frozen, texts, train_params(row, int(seed)), settings.cold)
    write_json(RESULTS / "cold" / f"{name}-{seed}.json", result)


def measure(
    data: Data,
    frozen: NDArray[np.float32],
    texts: list[str],
    params: TrainParams,
    settings: ColdSettings,
) -> dict[str, Any]:
    """Train without the cold items and rank them.

    Args:
        data: the whole data set.
        frozen: float32 [n, F], whitened item vectors, cold items included: their texts are known.
        texts: one per item, as encoded.
        params: section `train`; its seed also selects the cold items.
        settings: section `cold`.
    """
    cold = choose_cold(data.items["item_id"].to_list(), data.candidates, settings.share, params.seed)
    split = split_cold(data.sequences, cold)
    alone = params.model_copy(update={"members": 1})  # the residuals of a single member are replaced below
    (model,) = train(split.training, data.candidates & ~cold, frozen, alone).members
    residual = {"model": None, **residuals(model, cold, settings.neighbours)}
    tf_idf = chosen_tf_idf(texts, split, settings.recent)
    recalls, reader = {}, Scorer(model, data.candidates)
    for name, histories in split.histories.items():
        states = reader.states_in_batches(histories)  # [U, D]
        scorers: dict[str, HistoryScorer] = {key: ModelScorer(states, model, value) for key, value in residual.items()}
        recalls[name] = split_recalls(name, split, data.candidates, {**scorers, "tf_idf": tf_idf})
    counts = {name: int((targets >= 0).sum()) for name, targets in split.targets.items()}
    return {
        "cold_items": int(cold.sum()),
        "cold_targets": counts,
        "cold_residual": float(model.items.residual.detach()[torch.from_numpy(cold)].abs().sum()),
        "tf_idf_recent": tf_idf.recent,
        **recalls,
    }


def chosen_tf_idf(texts: list[str], split: ColdSplit, recent: list[int]) -> TfIdfScorer:
    """Return the TF-IDF scorer whose number of latest items is best for the cold validation targets."""

    def quality(scorer: TfIdfScorer) -> float:
        return recall_of(scorer, split.histories["validation"], split.targets["validation"], split.cold)

    return max((TfIdfScorer(texts, items) for items in recent), key=quality)


def split_recalls(
    name: str, split: ColdSplit, candidates: NDArray[np.bool_], scorers: dict[str, HistoryScorer]
) -> dict[str, dict[str, float]]:
    """Return Recall@10 by ranking and method."""
    histories, targets = split.histories[name], split.targets[name]
    warm = getattr(split.training, name)
    rankings = {"all": (targets, candidates), "cold": (targets, split.cold), "warm": (warm, candidates)}
    return {
        ranking: {
            **{method: recall_of(scorer, histories, wanted, among) for method, scorer in scorers.items()},
            "random": chance(histories, wanted, among, K),
        }
        for ranking, (wanted, among) in rankings.items()
    }


def recall_of(
    scorer: HistoryScorer,
    histories: list[NDArray[np.int64]],
    targets: NDArray[np.int64],
    candidates: NDArray[np.bool_],
) -> float:
    """Return Recall@10 over the users with a target."""
    return float((rank_targets(scorer, histories, targets, candidates, BATCH_USERS) <= K).mean())


if __name__ == "__main__":
    command(main)
