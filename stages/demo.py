"""`make demo`: run the pipeline on the embedded sample in `.demo/`; show metrics and a few recommendations."""

import shutil
import subprocess
import sys

from stages.workspace import ROOT, SAMPLE, commit, make_workspace, run, track

DEMO = ROOT / ".demo"
USERS = ("1", "2", "3")
SETTINGS = "\n".join(f"#   {key}: {value}" for key, value in SAMPLE.items())
REMARK = f"""# Written by `make demo`. For the small sample these differ from the project's params.yaml:
{SETTINGS}
# The stages run the copy of the code in this folder; the command `hierrec` runs the checkout's.

"""
NEXT = """
Next:
  open .demo/artifacts/report.html in a browser
  source .venv/bin/activate && cd .demo       # a repository of its own: dvc and git work in it
  hierrec recommend --history "Toy Story" --why
  hierrec serve                               # a page to try it
  dvc exp run -S fusion.neighbours=20 && hierrec metrics --diff HEAD
`dvc push` needs a remote, and the demo has none. Your own data: docs/own-data.md"""


def main() -> None:
    """Run the demo. If a command fails, exit with its status."""
    shutil.rmtree(DEMO, ignore_errors=True)
    make_workspace(DEMO)
    params = DEMO / "params.yaml"
    params.write_text(REMARK + params.read_text("utf-8"), "utf-8")
    try:
        track(DEMO)
        run(DEMO, "dvc", "repro")
        commit(DEMO)
        print("\nMetrics on the sample (full catalogue, leave-one-out):\n", flush=True)
        run(DEMO, sys.executable, "-m", "hierrec", "metrics")
        for user in USERS:
            print(flush=True)
            run(DEMO, sys.executable, "-m", "hierrec", "recommend", "--user", user, "-k", "5")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(NEXT)


if __name__ == "__main__":
    main()
