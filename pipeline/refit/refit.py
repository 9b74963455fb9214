"""The chosen models, fitted again on more items: both variants, as a model folder of variant `rag`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.files import atomic_directory
from ..core.stage import Summary
from ..fusion.prefixes import remember
from ..model.checkpoint import CHOSEN_BY, read_config, read_curve
from ..model.ensemble import UserModel
from ..model.inputs import Inputs
from ..rag.checkpoint import load_parts, save_rag
from ..training.resume import Progress
from ..training.run import Write, run_training
from ..training.start import untrained_model
from ..training.trainer import shrink
from .params import FinalParams

OFF = "off.txt"


def refit(
    final: FinalParams, read: Callable[[], Inputs], source: Path, curve: Path, target: Path, fitted: Mapping[str, Any]
) -> Summary:
    """Train the sequence model again, rebuild the datastore, keep the fusion, and write all of it.

    Where the chosen model is shrunk, a model of new weights is shrunk too. An interrupted training resumes, and several
    processes share it, as in `train_hierarchical`.

    Args:
        final: section `final`; with `fit` false, only a note is written.
        read: returns inputs; the model is fitted to their training items, and the datastore remembers them.
        source: folder of the chosen model of variant `rag`, which holds the model of variant `hierarchical` too.
        curve: folder of the chosen model of variant `hierarchical`, which holds its learning curve and says whether it
            is shrunk.
        target: folder of the model that is written. The stage that runs is `train_` and the folder's name.
        fitted: entries about this fit for the config of the model.
    """
    if not final.fit:
        with atomic_directory(target) as temporary:
            (temporary / OFF).write_text("final.fit is false in params.yaml, so there is no model here\n")
        return [f"final.fit is false: no model in {target}/"]

    def load() -> tuple[UserModel, Inputs, Write]:
        inputs = read()
        model, fusion, fusion_params = load_parts(source, inputs)
        fusion.trends = None  # it is only written again; the trends are as large as the data
        chosen, new, shrunk = model.params, final.new_for(model.params), False
        changes: dict[str, Any] = {"epochs": final.epochs, "learning_rate": chosen.learning_rate * final.rate}
        if new:
            validations = read_curve(curve)
            best = validations[CHOSEN_BY].arg_max() or 0
            changes = {"epochs": int(validations["epoch"][best]), "learning_rate": chosen.learning_rate}
        changed = chosen.with_rate(changes["learning_rate"]).model_copy(update=changes)
        if new:
            # An earlier version did not record it: then scaled keys tell.
            shrunk = "shrunk" in read_config(curve) or any((member.key_scale != 1).any() for member in model.members)
            model = untrained_model(changed, inputs.frozen, inputs.sequences)
        else:
            for member in model.members:
                member.params = changed.model_copy(update={"epoch_batches": None})  # every item is read

        def write(_: Progress) -> Summary:
            if shrunk:
                counts = torch.from_numpy(inputs.sequences.training_counts(len(inputs.frozen)))  # [n]
                shrink(model, counts, chosen.shrinkage)
            for member in model.members:
                member.params = chosen  # the config keeps the params by which validation chose
            datastore = remember(model, inputs.sequences, fusion_params)
            said = {**changes, **({"start": "new"} if new else {}), **fitted}
            save_rag(target, model, fusion, fusion_params, datastore, inputs.store_hash, fitted=said)
            epochs = f"{changes['epochs']} {'epochs of new weights' if new else 'more epochs'}"
            return [
                f"{epochs} on {int(inputs.sequences.train_length.sum()):,} interactions, {fitted['items']}",
                f"{len(datastore or ()):,} remembered prefixes; the fusion is unchanged",
                f"model in {target}/",
            ]

        return model, inputs, write

    return run_training(f"stages.train_{target.name}", load, None)
