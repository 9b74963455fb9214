"""`dvc repro` killed with all its processes, then `dvc repro` again: its locks, its cache, its bookkeeping."""

import os
import random
import shutil
import signal
import subprocess
import time

from ruamel.yaml import YAML

from bench.torture.workspace import Workspace, differences
from stages.workspace import environment, run

PHASES = ("before the stage", "while it writes", "after the stage")
LONGEST = 0.5
"""Seconds after the beginning of a phase within which the kill falls."""


def torture(
    workspace: Workspace, stages: list[str], kills: int, expected: dict[str, str], generator: random.Random
) -> int:
    """Kill `dvc repro` while it runs one stage, in turn, then let it finish.

    Args:
        workspace: where all stages have run, without DVC.
        stages: which to kill.
        kills: how often in all.
        expected: hashes of all artifacts.
        generator: of the moments.

    Returns:
        How often an artifact or dvc.lock differed, or the next `dvc repro` failed.
    """
    shutil.rmtree(workspace.cache, ignore_errors=True)
    run(workspace.folder, "dvc", "init", "--no-scm", "--quiet")
    run(workspace.folder, "dvc", "commit", "--force", "--quiet")
    done, failures = 0, 0
    while done < kills:
        stage, phase = stages[done % len(stages)], generator.choice(PHASES)
        copy = Workspace(workspace.folder.with_name("killed"))
        shutil.rmtree(copy.folder, ignore_errors=True)
        shutil.copytree(workspace.folder, copy.folder, symlinks=True)
        _forget(copy, stage)
        if not _killed_repro(copy, stage, phase, generator.uniform(0, LONGEST)):
            print(f"{stage}, {phase}: ended before the kill", flush=True)
            continue
        done += 1
        problem = _next_repro(copy, expected, _lock(workspace))
        failures += bool(problem)
        print(f"dvc repro, {stage}, killed {phase}: {problem or 'the same, bit for bit'}", flush=True)
    return failures


def _lock(workspace: Workspace) -> dict:
    return YAML(typ="safe").load(workspace.folder / "dvc.lock")["stages"]


def _forget(workspace: Workspace, stage: str) -> None:
    """Make DVC forget that a stage ever ran, here or (its run cache) anywhere."""
    workspace.remove_outs(stage)
    shutil.rmtree(workspace.folder / ".dvc" / "cache" / "runs", ignore_errors=True)
    yaml = YAML(typ="rt")
    lock = yaml.load(workspace.folder / "dvc.lock")
    del lock["stages"][stage]
    yaml.dump(lock, workspace.folder / "dvc.lock")


def _killed_repro(workspace: Workspace, stage: str, phase: str, delay: float) -> bool:
    """Run `dvc repro` and kill its process group in a phase; return whether it still ran."""
    with (workspace.folder / "repro.log").open("w") as log:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=workspace.folder,
            env=environment(workspace.folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while process.poll() is None and not _reached(workspace, stage, phase):
        time.sleep(0.002)
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return alive


def _reached(workspace: Workspace, stage: str, phase: str) -> bool:
    """Whether a phase has begun, as far as the files show."""
    if phase == PHASES[0]:
        return True
    if phase == PHASES[1]:
        return any(workspace.folder.rglob("*.part"))
    return all((workspace.folder / out).exists() for out in workspace.stages[stage])


def _next_repro(workspace: Workspace, expected: dict[str, str], lock: dict) -> str:
    """Run `dvc repro` to its end; return what is wrong afterwards, if anything is."""
    done = subprocess.run(
        ["dvc", "repro"],
        cwd=workspace.folder,
        env=environment(workspace.folder),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return f"the next one fails: {done.stderr}"
    contents = workspace.contents()
    return ", ".join(differences(contents, expected)) or ("" if _lock(workspace) == lock else "dvc.lock")
