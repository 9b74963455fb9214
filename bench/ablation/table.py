"""Stage `table`: collect all results in `table.json` (for machines) and `table.md` (for people)."""

from pathlib import Path

from hierrec.core.files import atomic_path, read_json, write_json

from bench.ablation.markdown import render
from bench.ablation.settings import HERE, RESULTS, Settings, command, load_settings
from bench.over_seeds import Numbers, over_seeds


def main() -> None:
    """Write both tables."""
    settings = load_settings()
    table, absent = collect(settings, RESULTS)
    write_json(HERE / "table.json", table)
    with atomic_path(HERE / "table.md") as temporary:
        temporary.write_text(render(settings, table, absent), "utf-8")


def collect(settings: Settings, folder: Path) -> tuple[Numbers, dict[str, str]]:
    """Read every existing result.

    Args:
        settings: names the expected runs.
        folder: the stages' output folder.

    Returns:
        The table, `{"runs": {"vectors/row": {...}}, "cold": {row: {...}}}`, where each number over several seeds is
        `{"mean": m, "sd": s}`; and the reason by missing run.
    """
    runs: Numbers = {}
    absent: dict[str, str] = {}
    for run, seeds in settings.seeds().items():
        vectors, _, row = run.partition("/")
        names = [f"{row}-{seed}.json" for seed in seeds]
        names = [name for name in names if (folder / "runs" / vectors / name).is_file()]
        results = {name: read_json(folder / "runs" / vectors / name) for name in names}
        # A run may be skipped on one machine and measured on another.
        measured = {name: result for name, result in results.items() if "test" in result}
        if measured:
            costs = [read_json(folder / "costs" / vectors / name) for name in measured]
            runs[run] = {
                **over_seeds(list(measured.values())),
                **over_seeds(costs),
                "seeds": len(measured),
            }
        elif not results:
            absent[run] = "not run"
        else:
            first = next(iter(results.values()))
            absent[run] = f"skipped: {first['skipped']}" if "skipped" in first else f"as {vectors}/{first['same_as']}"
    for run, reason in list(absent.items()):
        if reason.startswith("as ") and reason[3:] in runs:
            runs[run] = runs[reason[3:]]
            del absent[run]
    cold = {}
    for row in settings.cold.rows:
        paths = [folder / "cold" / f"{row}-{seed}.json" for seed in settings.cold.seeds]
        results = [read_json(path) for path in paths if path.is_file()]
        if results:
            cold[row] = {**over_seeds(results), "seeds": len(results)}
    return {"runs": runs, "cold": cold}, absent


if __name__ == "__main__":
    command(main)
