"""Run the pipeline on a data set: `python -m bench.datasets NAME --data FOLDER`."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from hierrec.core.files import read_json, write_json

from bench.datasets.results import RESULTS, add, result
from bench.datasets.run import run_stages
from bench.datasets.settings import load, names
from bench.datasets.table import cost_table, table
from stages.workspace import make_workspace

FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command()
@click.argument("name", type=click.Choice(names()))
@click.option("--data", type=EXISTING, help="Folder with the files that NAME.yaml names.")
@click.option("--work", type=FOLDER, help="Folder of the run; a stopped run is resumed. Default: a temporary folder.")
@click.option("--run", "done", type=EXISTING, help="Run nothing; record the metrics of this project or --work folder.")
@click.option("--out", default=RESULTS, type=click.Path(path_type=Path), help="Default: bench/datasets/results.json.")
def main(name: str, data: Path | None, work: Path | None, done: Path | None, out: Path) -> None:
    """Run every stage on a data set, add the results to results.json, and print the tables of both READMEs."""
    if (data is None) == (done is None):
        raise click.UsageError("give --data or --run")
    data_set = load(name)
    with tempfile.TemporaryDirectory(prefix="datasets-") as temporary:
        if data is not None:
            done = work or Path(temporary) / name
            _prepare(done, data_set.overrides(data))
            try:
                run_stages(done)
            except subprocess.CalledProcessError as error:
                hint = "the same command goes on with it" if work else "with --work, a run goes on with it"
                raise click.ClickException(
                    f"{error.cmd[-1]} ended with status {error.returncode}, see above; {hint}"
                ) from None
        assert done is not None
        results = add(name, {**result(done, data_set), "machine": _machine(data)}, out)
    click.echo(f"{table(results)}\n\n{cost_table(results)}")


def _machine(data: Path | None) -> dict[str, Any] | None:
    if data is None:
        return None
    # Imported late: it imports torch, whose memory would count in the peak of the stages, forked from this process.
    from bench.machine import describe_machine

    return describe_machine("cpu")


def _prepare(work: Path, overrides: Mapping[str, Any]) -> None:
    """Make the workspace, or check that the existing one has the same params."""
    record = work / "overrides.json"
    if not work.exists():
        make_workspace(work, overrides)
        write_json(record, overrides)
    elif not record.is_file() or read_json(record) != overrides:
        raise click.UsageError(f"{work}: holds no run, or one of other params; give another --work")


if __name__ == "__main__":
    main()
