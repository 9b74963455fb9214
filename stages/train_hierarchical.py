"""Stage 4a: the sequence model with its head, early-stopped on the validation targets."""

import torch
from hierrec.core.files import cache_dir
from hierrec.core.memory import release_freed_memory
from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, PLOTS, Summary, stage
from hierrec.model.checkpoint import CHOSEN_BY, new_model, save_model, write_curve
from hierrec.model.inputs import load_inputs
from hierrec.model.params import TrainParams
from hierrec.training.distributed import check_device, joined, launch
from hierrec.training.resume import TrainingState, code_hashes, training_key
from hierrec.training.trainer import fit, validator
from torch.distributed import is_torchelastic_launched


@stage(
    "train", libraries=("torch", "transformers", "numpy", "polars", "pyarrow", "safetensors"), processes=True
)
def main(train: TrainParams) -> Summary:
    check_device(train.device, train.processes)
    inputs = load_inputs(DATA, ITEM_EMBEDDINGS)
    model = new_model(train, inputs.frozen)
    # Bad input has been refused by now, in one message and not in one of each process.
    if train.processes > 1 and not is_torchelastic_launched():
        del inputs, model  # each process reads its own
        release_freed_memory()
        launch("stages.train_hierarchical", train.processes)
        return []  # the first of them has printed its summary
    validate = validator(inputs.sequences, inputs.validation_candidates)
    key = training_key(model, inputs.sequences, inputs.validation_candidates, code_hashes(__file__))
    # Moments of rarely seen items decay into denormal numbers, which make a CPU many times slower.
    torch.set_flush_denormal(True)
    state = TrainingState(cache_dir("train"), key)
    with joined(train.processes, train.device) as processes:
        progress = fit(model, inputs.sequences, validate, state, processes)
    if not processes.first:
        return []
    save_model(MODELS / "hierarchical", model, inputs.store_hash, progress.curve)
    write_curve(PLOTS / "hierarchical.csv", progress.curve)
    state.remove()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return [
        f"hierarchical: {parameters:,} parameters, {progress.epoch} epochs",
        f"best validation {CHOSEN_BY}: {progress.best_metric:.4f}{', rare items shrunk' * progress.shrunk}",
        f"model in {MODELS / 'hierarchical'}/, learning curve in {PLOTS / 'hierarchical.csv'}",
    ]


if __name__ == "__main__":
    main()
