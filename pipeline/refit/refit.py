"""The chosen models, trained further on more items: both variants, as a model folder of variant `rag`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.distributed import is_torchelastic_launched

from ..core.files import atomic_directory, cache_dir
from ..core.stage import Summary
from ..fusion.prefixes import remember
from ..model.inputs import Inputs
from ..rag.checkpoint import load_parts, save_rag
from ..training.distributed import check_device, joined, launch
from ..training.resume import TrainingState, code_hashes, training_key
from ..training.trainer import fit
from .params import FinalParams

OFF = "off.txt"


def refit(
    final: FinalParams, inputs: Inputs, source: Path, target: Path, module: str, fitted: Mapping[str, Any]
) -> Summary:
    """Train the sequence model further, rebuild the datastore, keep the fusion, and write all of it.

    An interrupted training resumes, and several processes share it, as in `train_hierarchical`.

    Args:
        final: section `final`; with `fit` false, only a note is written.
        inputs: their training items are what the model is fitted to and what the datastore remembers.
        source: folder of the chosen model of variant `rag`, which holds the other variant's as its base.
        target: folder of the model that is written.
        module: the stage that runs, to start it in several processes.
        fitted: what the config of the model says of it.

    Returns:
        The stage's summary; none in processes that do not write.

    Raises:
        CheckpointError: the chosen model is missing or damaged, or was trained on other vectors.
        ParamsError, MachineError, NumericalError: as in `train_hierarchical`.
    """
    if not final.fit:
        with atomic_directory(target) as temporary:
            (temporary / OFF).write_text("final.fit is false in params.yaml, so there is no model here\n")
        return [f"final.fit is false: no model in {target}/"]
    model, fusion, params = load_parts(source, inputs)
    chosen = model.params
    check_device(chosen.device, chosen.processes)
    if chosen.processes > 1 and not is_torchelastic_launched():
        launch(module, chosen.processes)
        return []  # the first of them has printed its summary
    changes = {"epochs": final.epochs, "learning_rate": chosen.learning_rate * final.rate}
    for member in model.members:
        member.params = chosen.model_copy(update=changes)
    key = training_key(model, inputs.sequences, inputs.candidates, code_hashes())
    # Moments of rarely seen items decay into denormal numbers, which make a CPU many times slower.
    torch.set_flush_denormal(True)
    state = TrainingState(cache_dir("train"), key)
    with joined(chosen.processes, chosen.device) as processes:
        fit(model, inputs.sequences, None, state, processes)
    if not processes.first:
        return []
    for member in model.members:
        member.params = chosen  # the config keeps the params by which validation chose
    datastore = remember(model, inputs.sequences, params)
    save_rag(target, model, fusion, params, datastore, inputs.store_hash, fitted={**changes, **fitted})
    state.remove()
    count = int(inputs.sequences.train_length.sum())
    return [
        f"{final.epochs} more epochs on {count:,} interactions, {fitted['items']}",
        f"{len(datastore or ()):,} remembered prefixes; the fusion is unchanged",
        f"model in {target}/",
    ]
