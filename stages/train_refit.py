"""train@refit: both variants, fitted again on training and validation items. Test metrics show the gain.

No test item is read: it is neither trained nor remembered.
"""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, SharedStage, Summary
from hierrec.model.inputs import load_inputs
from hierrec.refit.params import FinalParams
from hierrec.refit.refit import refit

FITTED = {"items": "training and validation", "test_figures": "artifacts/metrics/refit.json"}


@SharedStage
def main(final: FinalParams) -> Summary:
    places = MODELS / "rag", MODELS / "hierarchical", MODELS / "refit"
    return refit(final, lambda: load_inputs(DATA, ITEM_EMBEDDINGS).before_test(), *places, FITTED)


if __name__ == "__main__":
    main()
