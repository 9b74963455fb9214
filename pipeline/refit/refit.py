"""The chosen models, trained further on more items: both variants, as a model folder of variant `rag`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.files import atomic_directory
from ..core.stage import Summary
from ..fusion.prefixes import remember
from ..model.ensemble import UserModel
from ..model.inputs import Inputs
from ..model.params import TrainParams
from ..rag.checkpoint import load_parts, save_rag
from ..training.resume import Progress
from ..training.run import run_training
from .params import FinalParams

OFF = "off.txt"


def refit(
    final: FinalParams,
    read: Callable[[], Inputs],
    source: Path,
    target: Path,
    module: str,
    fitted: Mapping[str, Any],
) -> Summary:
    """Train the sequence model further, rebuild the datastore, keep the fusion, and write all of it.

    An interrupted training resumes, and several processes share it, as in `train_hierarchical`.

    Args:
        final: section `final`; with `fit` false, only a note is written.
        read: returns inputs whose training items are what the model is fitted to and what the datastore remembers.
        source: folder of the chosen model of variant `rag`, which holds the other variant's as its base.
        target: folder of the model that is written.
        module: the stage that runs, to start it in several processes.
        fitted: what the config of the model says of it.

    Returns:
        The stage's summary; none in processes that do not write.

    Raises:
        CheckpointError: the chosen model is missing or damaged, or was trained on other vectors.
        ParamsError, MachineError, NumericalError: see `run_training`.
    """
    if not final.fit:
        with atomic_directory(target) as temporary:
            (temporary / OFF).write_text("final.fit is false in params.yaml, so there is no model here\n")
        return [f"final.fit is false: no model in {target}/"]

    def load() -> tuple[UserModel, Inputs]:
        inputs = read()
        model, _, _ = load_parts(source, inputs)
        for member in model.members:
            member.params = member.params.model_copy(update=_changes(final, member.params))
        return model, inputs

    def write(model: UserModel, inputs: Inputs, _: Progress) -> Summary:
        chosen, fusion, params = load_parts(source, inputs)
        for member in model.members:
            member.params = chosen.params  # the config keeps the params by which validation chose
        datastore = remember(model, inputs.sequences, params)
        said = {**_changes(final, chosen.params), **fitted}
        save_rag(target, model, fusion, params, datastore, inputs.store_hash, fitted=said)
        count = int(inputs.sequences.train_length.sum())
        return [
            f"{final.epochs} more epochs on {count:,} interactions, {fitted['items']}",
            f"{len(datastore or ()):,} remembered prefixes; the fusion is unchanged",
            f"model in {target}/",
        ]

    return run_training(module, load, write, None)


def _changes(final: FinalParams, chosen: TrainParams) -> dict[str, Any]:
    return {"epochs": final.epochs, "learning_rate": chosen.learning_rate * final.rate}
