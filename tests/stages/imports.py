"""The code files that a stage runs, found by walking its imports."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {"hierrec": ROOT / "pipeline", "stages": ROOT / "stages"}
FOLDER_CONSTANTS = {"DATA", "ITEM_EMBEDDINGS", "INDEX", "MODELS", "METRICS", "PLOTS", "RANKS"}


def code_files(stage: str) -> set[str]:
    """Return the files of this repository that `python -m stages.<stage>` imports, relative to its root."""
    return {str(path.relative_to(ROOT)) for path in _closure(stage)}


def top_level_imports(stage: str) -> set[str]:
    """Return the top-level modules, ours and others', that the code of a stage imports."""
    return {name.partition(".")[0] for name in imports(stage)}


def imports(stage: str) -> set[str]:
    """Return the dotted names, ours and others', that the code of a stage imports."""
    return {name for path in _closure(stage) for name in imported(path)}


def artifact_folders(stage: str) -> set[str]:
    """Return the constants of `hierrec.core.stage` for folders of artifacts that the code of a stage imports."""
    constants = {name.removeprefix("hierrec.core.stage.") for name in imports(stage)}
    return constants & FOLDER_CONSTANTS


def _closure(stage: str) -> set[Path]:
    todo, seen = [f"stages.{stage}"], set()
    while todo:
        module = todo.pop()
        for path in module_files(module) - seen:
            seen.add(path)
            todo += imported(path)
    return seen


def module_files(module: str) -> set[Path]:
    """Return the file of a module and the `__init__.py` of every package above it; none if it is not ours."""
    top, *rest = module.split(".")
    if top not in FOLDERS:
        return set()
    files, folder = {FOLDERS[top] / "__init__.py"}, FOLDERS[top]
    for name in rest:
        folder = folder / name
        files |= {folder.with_suffix(".py"), folder / "__init__.py"}
    return {path for path in files if path.is_file()}


def imported(path: Path) -> list[str]:
    """Return the dotted names that a file imports, wherever in the file, type checking included."""
    package = (
        ["hierrec", *path.relative_to(ROOT / "pipeline").parent.parts] if path.is_relative_to(ROOT / "pipeline") else []
    )
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return names
