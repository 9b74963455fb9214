"""Killed updates, each forked from a process that has imported the libraries: a second each, not ten."""

import os
import shutil
import signal
import sys
from pathlib import Path

from hierrec.core.files import sha256_file
from hierrec.params import load_params
from hierrec.update.update import update

from bench.torture.forked import EVENTS, Bomb, _Counter


def main() -> None:
    """Print for each killed update whether the folder holds the old or the new state."""
    artifacts, params, new, folder = map(Path, sys.argv[1:])
    out = folder / "artifacts" / "live"
    shutil.copytree(out, folder / "kept")

    def run(hook: object) -> int:
        pid = os.fork()
        if pid == 0:
            sys.addaudithook(hook)  # type: ignore[arg-type]
            update(artifacts, load_params(params), new, None, out)
            os._exit(0)
        return os.WTERMSIG(os.waitpid(pid, 0)[1])

    def state() -> dict[str, str]:
        return {str(path.relative_to(out)): sha256_file(path) for path in out.rglob("*") if path.is_file()}

    old = state()
    assert run(_Counter(folder / EVENTS)) == 0
    after, events = state(), (folder / EVENTS).stat().st_size
    points = [0, events // 2, *range(events - 4, events)]
    for point in points:
        shutil.rmtree(out.parent)
        shutil.copytree(folder / "kept", out)
        assert run(Bomb(point, signal.SIGKILL)) == signal.SIGKILL
        print({str(old): "old", str(after): "new"}[str(state())])


if __name__ == "__main__":
    main()
