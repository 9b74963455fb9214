"""`python -m bench.torture --kills 120`: kill stages, run them again, print a table; exit 1 if an artifact differs."""

import random
import sys
import tempfile
from pathlib import Path

import click

from bench.torture import forked, through_dvc
from bench.torture.workspace import Workspace, differences

SHARE_BEFORE_WRITES = 2 / 3
"""Share of kills right before a rename or another write. The others fall anywhere in the stage's CPU time."""

SHARE_TWICE = 0.25
"""Share of recoveries that are killed too."""


@click.command()
@click.option("--kills", default=120, show_default=True, help="Kills of stages run without DVC.")
@click.option("--dvc-kills", default=12, show_default=True, help="Kills of `dvc repro` with its stage.")
@click.option("--seed", default=1, show_default=True, help="Seed of the moments.")
@click.option("--stage", "chosen", multiple=True, help="Only this stage; may be repeated.")
def main(kills: int, dvc_kills: int, seed: int, chosen: tuple[str, ...]) -> None:
    """Kill stages at random moments; check that after the next run every artifact is the same, bit for bit."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        workspace = Workspace.make(Path(folder) / "workspace")
        if unknown := sorted(set(chosen) - set(workspace.stages)):
            raise click.BadParameter(f"{unknown[0]} is none of {', '.join(workspace.stages)}")
        stages = [name for name in workspace.stages if name in chosen or not chosen]
        sizes = {name: forked.run(workspace, name) for name in workspace.stages}
        expected = workspace.contents()
        failures = 0
        print(
            "stage                   writes  kills: before a write, anywhere  recoveries that differ",
            flush=True,
        )
        for place, stage in enumerate(stages):
            share = kills // len(stages) + (place < kills % len(stages))
            counts = torture(workspace, stage, share, sizes[stage], expected, random.Random(f"{seed} {stage}"))
            failures += counts[2]
            print(f"{stage:<24}{sizes[stage][1]:>6}{counts[0]:>22}{counts[1]:>10}{counts[2]:>24}", flush=True)
        if dvc_kills:
            failures += through_dvc.torture(workspace, stages, dvc_kills, expected, random.Random(seed))
    sys.exit(1 if failures else 0)


def torture(
    workspace: Workspace,
    stage: str,
    kills: int,
    size: tuple[float, int],
    expected: dict[str, str],
    generator: random.Random,
) -> tuple[int, int, int]:
    """Kill a stage, run it again and compare, until it was killed `kills` times.

    Args:
        workspace: in which all stages have run.
        stage: the stage to kill.
        kills: number of kills.
        size: CPU seconds and writes of an undisturbed run.
        expected: hashes of all artifacts.
        generator: draws the moments.

    Returns:
        Kills before a write, kills anywhere, and recoveries after which an artifact differed.
    """
    before, anywhere, failures = 0, 0, 0
    while before + anywhere < kills:
        workspace.forget(stage)
        while True:
            if generator.random() < SHARE_BEFORE_WRITES:
                before += forked.kill_before_write(workspace, stage, generator.randrange(size[1]))
            else:
                anywhere += forked.kill_after_seconds(workspace, stage, generator.uniform(0, size[0]))
            workspace.remove_outs(stage)
            if before + anywhere >= kills or generator.random() >= SHARE_TWICE:
                break
        forked.run(workspace, stage)
        if differing := differences(workspace.contents(), expected):
            failures += 1
            print(f"{stage}: differs after a kill: {', '.join(differing)}", flush=True)
    return before, anywhere, failures


if __name__ == "__main__":
    main()
