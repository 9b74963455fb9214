"""A training as a stage runs it: in this process or in several, resumed where it was interrupted."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed import is_torchelastic_launched

from ..core.files import cache_dir
from ..core.memory import release_freed_memory
from ..core.stage import Summary
from ..model.checkpoint import write_curve
from ..model.ensemble import UserModel
from ..model.inputs import Inputs
from .distributed import check_device, joined, launch
from .resume import Progress, TrainingState, code_hashes, training_key
from .trainer import fit, validator

Write = Callable[[Progress], Summary]
Load = Callable[[], tuple[UserModel, Inputs, Write]]


def run_training(module: str, load: Load, curve: Path | None) -> Summary:
    """Load a model and its inputs, train the model, and write it; return the stage's summary.

    Args:
        module: the stage that runs, to start it in several processes. Those that do not write return no summary.
        load: reads model and inputs, and returns them with the function that writes the trained model. It is called
            before other processes start, so bad input gives one message.
        curve: CSV with a row for each validation so far; validation picks the epoch. None: no validation, all epochs
            are trained.
    """
    # Moments of rarely seen items decay into denormal numbers, which make a CPU many times slower. Threads inherit this
    # setting when they start, and loading starts them.
    torch.set_flush_denormal(True)
    model, inputs, write = load()
    params = model.params
    check_device(params.device, params.processes)
    if params.processes > 1 and not is_torchelastic_launched():
        del inputs, model, write  # each process reads its own
        release_freed_memory()
        launch(module, params.processes)
        return []  # the first of them has printed its summary
    candidates = inputs.validation_candidates
    validated = inputs.sequences.with_targets_of(params.validation_users, params.seed)
    validate = validator(validated, candidates) if curve else None
    key = training_key(model, inputs.sequences, candidates, code_hashes())
    state = TrainingState(cache_dir("train"), key, curve)
    with joined(params.processes, params.device) as processes:
        progress = fit(model, inputs.sequences, validate, state, processes)
    if not processes.first:
        return []
    if curve:
        write_curve(curve, progress.curve)
    summary = write(progress)
    state.remove()
    return summary
