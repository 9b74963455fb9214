"""Stage `vectors NAME`: encode the plan's texts to item vectors, `work/vectors/NAME/`."""

from typing import Any

import numpy as np
from hierrec.core.files import read_json
from numpy.typing import NDArray

from bench.ablation.encoders import encode
from bench.ablation.settings import WORK, command
from bench.ablation.vector_files import write_vectors


def main(name: str) -> None:
    """Encode the texts called `name`."""
    planned = read_json(WORK / "plan" / "texts" / f"{name}.json")
    write_vectors(WORK / "vectors" / name, vectors_of(planned))


def vectors_of(planned: dict[str, Any]) -> NDArray[np.float32] | str:
    """Return the planned vectors, float32 [n, d], or why they are skipped."""
    return planned["skipped"] if "skipped" in planned else encode(**planned["encoder"], texts=planned["texts"])


if __name__ == "__main__":
    command(main)
