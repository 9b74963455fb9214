"""`python -m bench.scale.ingest --interactions 10000000`: memory and time of `ingest` for a log of that length."""

import tempfile
from pathlib import Path
from typing import Any

import click
from hierrec.core.files import read_json, write_json

from bench.machine import describe_machine
from bench.scale.events import write_log
from bench.scale.process import measure

RESULT = Path(__file__).parents[1] / "results" / "ingest_scale.json"


@click.command()
@click.option("--interactions", type=int, default=1_000_000, show_default=True)
@click.option("--suffix", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--label", default="now", show_default=True, help="Label of the measured code.")
@click.option("--folder", type=click.Path(path_type=Path), help="For log and tables (a few GB), removed at the end.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULT, show_default=False, help="Result file.")
def main(interactions: int, suffix: str, label: str, folder: Path | None, out: Path) -> None:
    """Ingest a generated log and load its sequences; keep other results in the file."""
    results: dict[str, Any] = read_json(out) if out.is_file() else {"runs": {}}
    with tempfile.TemporaryDirectory(prefix="scale-", dir=folder) as temporary:
        log, items = write_log(Path(temporary), interactions, suffix)
        where = [str(log), str(items), str(Path(temporary) / "data")]
        size = log.stat().st_size / 2**20
        steps = {step: measure("bench.scale.read_log", [step, *where]) for step in ("ingest", "load")}
    results["runs"][f"{label} {suffix} {interactions}"] = {
        "command": f"python -m bench.scale.ingest --interactions {interactions} --suffix {suffix} --label {label}",
        "log_mb": round(size, 1),
        **steps,
        "machine": describe_machine("cpu"),
    }
    write_json(out, results)
    for step, found in steps.items():
        cost = f"{found['resident_peak_mb']:,.0f} MiB, {found['cpu_s']:.1f} s CPU"
        click.echo(f"{label}, {suffix}, {interactions:,}: {step} {cost}")


if __name__ == "__main__":
    main()
