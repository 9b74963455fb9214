"""train_final: both variants, fitted again on all items, for use. Nothing is left to measure them on."""

from functools import partial

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.model.inputs import Inputs, load_inputs
from hierrec.refit.params import FinalParams
from hierrec.refit.refit import refit

FITTED = {
    "items": "all",
    "test_figures": None,
    "instead": "artifacts/metrics/refit.json: the same fit without the test items, on which it is measured",
}


@partial(Stage, processes=True)
def main(final: FinalParams) -> Summary:
    def whole() -> Inputs:
        return load_inputs(DATA, ITEM_EMBEDDINGS).whole()

    chosen = MODELS / "rag", MODELS / "hierarchical"
    return refit(final, whole, *chosen, MODELS / "final", "stages.train_final", FITTED)


if __name__ == "__main__":
    main()
