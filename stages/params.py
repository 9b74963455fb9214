"""params: the whole of params.yaml is checked before DVC removes what any other stage has written."""

from pathlib import Path

from hierrec.core.files import atomic_path
from hierrec.core.stage import ARTIFACTS, Stage, Summary
from hierrec.params import load_params

WRITTEN = ARTIFACTS / "params.txt"


@Stage
def main() -> Summary:
    """Write a file that is always the same, so that no later stage runs because of it."""
    load_params(Path("params.yaml"))
    with atomic_path(WRITTEN) as temporary:
        temporary.write_text("params.yaml is valid\n", "utf-8")
    return ["params.yaml is valid"]


if __name__ == "__main__":
    main()
