"""Stage 4a: the sequence model with its head, early-stopped on the validation targets."""

import hashlib
from pathlib import Path

import hierrec
import torch
import transformers
from hierrec.evaluation.evaluator import rank_targets
from hierrec.evaluation.metrics import metrics_from_ranks
from hierrec.files import sha256_file, sha256_json
from hierrec.params import TrainParams
from hierrec.recommender.checkpoint import new_recommender, save_recommender
from hierrec.recommender.curve import write_curve
from hierrec.recommender.hierarchical import HierarchicalRecommender
from hierrec.recommender.inputs import Inputs, load_inputs
from hierrec.recommender.resume import TrainingState
from hierrec.recommender.sequence_model import SequenceModel
from hierrec.recommender.trainer import CHOSEN_BY, fit

from stages.stage import DATA, ITEM_EMBEDDINGS, MODELS, PLOTS, Summary, cache_dir, stage

VALIDATION_BATCH = 256


@stage("train", libraries=("torch", "transformers"))
def main(train: TrainParams) -> Summary:
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    model = new_recommender(train, inputs.frozen)
    histories = inputs.sequences.validation_histories()

    def validate(model: SequenceModel) -> dict[str, float]:
        scorer = HierarchicalRecommender(model, train.history, torch.float32)
        targets = inputs.sequences.validation
        return metrics_from_ranks(
            rank_targets(scorer, histories, targets, inputs.candidates, VALIDATION_BATCH)
        )

    state = TrainingState(cache_dir("train"), training_key(inputs, train))
    progress = fit(model, inputs.sequences, train, validate, state)
    save_recommender(MODELS / "hierarchical", model, train, inputs.store_hash)
    write_curve(PLOTS / "hierarchical.csv", progress.curve)
    state.remove()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return [
        f"hierarchical: {parameters:,} parameters, {progress.epoch} epochs",
        f"best validation {CHOSEN_BY}: {progress.best_metric:.4f}",
        f"model in {MODELS / 'hierarchical'}/, learning curve in {PLOTS / 'hierarchical.csv'}",
    ]


def training_key(inputs: Inputs, train: TrainParams) -> str:
    """Hash all that determines the training, so that only the very same training is ever resumed."""
    sequences = hashlib.sha256(inputs.sequences.items.tobytes() + inputs.sequences.offsets.tobytes())
    package = Path(hierrec.__file__).parent
    return sha256_json(
        {
            "train": train.model_dump(mode="json"),
            "store": inputs.store_hash,
            "sequences": sequences.hexdigest(),
            "code": [sha256_file(path) for path in sorted(package.rglob("*.py"))],
            "libraries": [torch.__version__, transformers.__version__],
        }
    )


if __name__ == "__main__":
    main()
