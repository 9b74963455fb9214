"""Kill `dvc repro` with all its processes, then run it again, to test DVC's locks, cache and dvc.lock."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ruamel.yaml import YAML

from bench.torture.workspace import Workspace, differences
from stages.workspace import environment, run

PHASES = ("before the stage", "while it writes", "after the stage")
LONGEST = 0.5
"""Longest delay of a kill after the start of a phase, in seconds."""


def torture(
    workspace: Workspace, stages: list[str], kills: int, expected: dict[str, str], generator: random.Random
) -> int:
    """Kill `dvc repro` while it runs one stage, in turn, then let it finish.

    Args:
        workspace: in which all stages have run without DVC.
        stages: the stages to kill.
        kills: total number of kills.
        expected: hashes of all artifacts.
        generator: draws the moments.

    Returns:
        The number of kills after which an artifact or dvc.lock differed, or the next `dvc repro` failed.
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
        committed = _forget(copy, stage)
        if not _killed_repro(copy, stage, phase, generator.uniform(0, LONGEST)):
            print(f"{stage}, {phase}: ended before the kill", flush=True)
            continue
        done += 1
        problem, remedy = _next_repro(copy, expected, _lock(workspace), committed)
        failures += bool(problem)
        print(f"dvc repro, {stage}, killed {phase}: {remedy}{problem or 'the same, bit for bit'}", flush=True)
    return failures


def mend(folder: Path, refusal: str, committed: bytes) -> str:
    """Repair a DVC file as docs/reliability.md says: DVC writes its files in place, so a kill can truncate them.

    Args:
        folder: the project.
        refusal: output of `dvc repro`.
        committed: earlier content of dvc.lock.

    Returns:
        The repair in words; empty if DVC refused something else.
    """
    if "'./dvc.lock' is invalid" in refusal or "'./dvc.lock' validation failed" in refusal:
        (folder / "dvc.lock").write_bytes(committed)
        return "dvc.lock put back: "
    if "Unable to read RWLock-file" in refusal:
        (folder / ".dvc" / "tmp" / "rwlock").unlink()
        return "rwlock removed: "
    return ""


def _lock(workspace: Workspace) -> dict:
    return YAML(typ="safe").load(workspace.folder / "dvc.lock")["stages"]


def _forget(workspace: Workspace, stage: str) -> bytes:
    """Remove a stage from dvc.lock and its runs from the run cache; return the new dvc.lock."""
    workspace.remove_outs(stage)
    shutil.rmtree(workspace.folder / ".dvc" / "cache" / "runs", ignore_errors=True)
    yaml = YAML(typ="rt")
    lock = yaml.load(workspace.folder / "dvc.lock")
    (named,) = (name for name in lock["stages"] if name.replace("@", "_") == stage)
    del lock["stages"][named]
    yaml.dump(lock, workspace.folder / "dvc.lock")
    return (workspace.folder / "dvc.lock").read_bytes()


def _killed_repro(workspace: Workspace, stage: str, phase: str, delay: float) -> bool:
    """Run `dvc repro` and kill its process group in a phase; return whether it was still running."""
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
    """Return whether a phase has begun, judging by the files."""
    if phase == PHASES[0]:
        return True
    if phase == PHASES[1]:
        return any(workspace.folder.rglob("*.part"))
    return all((workspace.folder / out).exists() for out in workspace.stages[stage])


def _next_repro(workspace: Workspace, expected: dict[str, str], lock: dict, committed: bytes) -> tuple[str, str]:
    """Run `dvc repro` to its end; return the problem afterwards, if any, and the repair of DVC's files."""
    done, remedy = _repro(workspace), ""
    if done.returncode and (remedy := mend(workspace.folder, done.stderr, committed)):
        done = _repro(workspace)
    if done.returncode:
        return f"the next one fails: {done.stderr}", remedy
    contents = workspace.contents()
    problem = ", ".join(differences(contents, expected)) or ("" if _lock(workspace) == lock else "dvc.lock")
    return problem, remedy


def _repro(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dvc", "repro"],
        cwd=workspace.folder,
        env=environment(workspace.folder),
        capture_output=True,
        text=True,
    )
