"""train@final: both variants, fitted again on all items, for use. Nothing is left to measure them on."""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, SharedStage, Summary
from hierrec.model.inputs import load_inputs
from hierrec.refit.params import FinalParams
from hierrec.refit.refit import refit

FITTED = {
    "items": "all",
    "test_figures": None,
    "instead": "artifacts/metrics/refit.json: the same fit without the test items, on which it is measured",
}


@SharedStage
def main(final: FinalParams) -> Summary:
    places = MODELS / "rag", MODELS / "hierarchical", MODELS / "final"
    return refit(final, lambda: load_inputs(DATA, ITEM_EMBEDDINGS).whole(), *places, FITTED)


if __name__ == "__main__":
    main()
