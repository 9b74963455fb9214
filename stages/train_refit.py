"""train_refit: both variants, fitted again on training and validation items. Test shows what that is worth.

No test item is read: it is neither trained nor remembered.
"""

from functools import partial

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, Stage, Summary
from hierrec.model.inputs import Inputs, load_inputs
from hierrec.refit.params import FinalParams
from hierrec.refit.refit import refit

FITTED = {"items": "training and validation", "test_figures": "artifacts/metrics/refit.json"}


@partial(Stage, processes=True)
def main(final: FinalParams) -> Summary:
    def before_test() -> Inputs:
        return load_inputs(DATA, ITEM_EMBEDDINGS).before_test()

    chosen = MODELS / "rag", MODELS / "hierarchical"
    return refit(final, before_test, *chosen, MODELS / "refit", "stages.train_refit", FITTED)


if __name__ == "__main__":
    main()
