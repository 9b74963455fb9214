"""train_hierarchical: the sequence model with its head, early-stopped on the validation targets."""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, PLOTS, SharedStage, Summary
from hierrec.model.checkpoint import CHOSEN_BY, save_model
from hierrec.model.ensemble import UserModel
from hierrec.model.inputs import Inputs, load_inputs
from hierrec.model.params import TrainParams
from hierrec.training.distributed import check_device
from hierrec.training.resume import Progress
from hierrec.training.run import Write, run_training
from hierrec.training.start import untrained_model

LEARNING_CURVE = PLOTS / "hierarchical.csv"


@SharedStage
def main(train: TrainParams) -> Summary:
    check_device(train.device, train.processes)  # before the inputs are read

    def load() -> tuple[UserModel, Inputs, Write]:
        inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
        model = untrained_model(train, inputs.frozen, inputs.sequences)

        def write(progress: Progress) -> Summary:
            save_model(MODELS / "hierarchical", model, inputs.store_hash, progress.curve, progress.shrunk)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            best = f"{progress.best_metric:.4f}{', rare items shrunk' * progress.shrunk}"
            return [
                f"hierarchical: {parameters:,} parameters, {progress.epoch} epochs, {sum(progress.steps):,} steps",
                f"best validation {CHOSEN_BY}: {best}",
                f"model in {MODELS / 'hierarchical'}/, learning curve in {LEARNING_CURVE}",
            ]

        return model, inputs, write

    return run_training("stages.train_hierarchical", load, LEARNING_CURVE)


if __name__ == "__main__":
    main()
