"""Stage 4c: both variants, fitted again on training and validation items. What that is worth, test will say.

No test item is read: it is neither trained nor remembered.
"""

from hierrec.core.stage import DATA, ITEM_EMBEDDINGS, MODELS, RETRIEVAL, Summary, stage
from hierrec.model.inputs import Inputs, load_inputs
from hierrec.refit.params import FinalParams
from hierrec.refit.refit import refit

FITTED = {"items": "training and validation", "test_figures": "artifacts/metrics/refit.json"}


@stage("final", libraries=RETRIEVAL, processes=True)
def main(final: FinalParams) -> Summary:
    def before_test() -> Inputs:
        return load_inputs(DATA, ITEM_EMBEDDINGS).before_test()

    return refit(final, before_test, MODELS / "rag", MODELS / "refit", "stages.train_refit", FITTED)


if __name__ == "__main__":
    main()
