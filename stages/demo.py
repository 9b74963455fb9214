"""`make demo`: run the pipeline on the embedded sample in `.demo/`; show metrics and a few recommendations."""

import shutil
import subprocess
import sys

from stages.workspace import ROOT, make_workspace, run

DEMO = ROOT / ".demo"
USERS = ("1", "2", "3")


def main() -> None:
    """Run the demo. If a command fails, exit with its status."""
    shutil.rmtree(DEMO, ignore_errors=True)
    make_workspace(DEMO)
    try:
        run(DEMO, "dvc", "init", "--no-scm", "--quiet")
        run(DEMO, "dvc", "repro")
        print("\nMetrics on the sample (full catalogue, leave-one-out):\n", flush=True)
        run(DEMO, sys.executable, "-m", "hierrec", "metrics")
        for user in USERS:
            print(flush=True)
            run(DEMO, sys.executable, "-m", "hierrec", "recommend", "--user", user, "-k", "5")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
