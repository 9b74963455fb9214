"""params: check all of params.yaml before DVC removes the outputs of other stages.

For `dataset: files`, the columns of local tables are checked too; so are the models of stages that will run again.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from hierrec.core.errors import DownloadError, HierrecError
from hierrec.core.files import atomic_path, cache_dir
from hierrec.core.gpu import require_gpu
from hierrec.core.stage import ARTIFACTS, Stage, Summary
from hierrec.ingest.params import IngestParams
from hierrec.params import Params, load_params
from ruamel.yaml import YAML, YAMLError

WRITTEN = ARTIFACTS / "params.txt"


@Stage
def main() -> Summary:
    """Write a file that is always the same, so that no later stage runs because of it."""
    params = load_params(Path("params.yaml"))
    if params.ingest.dataset == "files":
        _check_files(params.ingest)
    _check_models(params)
    with atomic_path(WRITTEN) as temporary:
        temporary.write_text("params.yaml is valid\n", "utf-8")
    return ["params.yaml is valid"]


def _check_files(ingest: IngestParams) -> None:
    """Check the columns of each table that is on this machine with the checksum of the params.

    A missing table is an error only if `ingest` will read it: because its params have changed since it ran.
    """
    from hierrec.ingest.download import fetch_parts  # these import polars
    from hierrec.ingest.item_files import check_item_columns
    from hierrec.ingest.own_files import check_columns

    cache, locked = cache_dir("downloads"), _locked("ingest", "ingest")
    changed = locked is None or locked != _section("ingest")
    for key, check in (("interactions", check_columns), ("items", check_item_columns)):
        source, md5 = getattr(ingest, key), getattr(ingest, f"{key}_md5")
        if source is None or "://" in source:
            continue
        with suppress(*(() if changed else (DownloadError,))):
            paths = fetch_parts(source, None, cache, key)
            with suppress(DownloadError):  # another table is for `ingest` to refuse
                try:
                    check(paths, ingest)
                except HierrecError:  # only now is the whole table read, for its checksum
                    fetch_parts(source, md5, cache, key)
                    raise


def _check_models(params: Params) -> None:
    """Check the models of `encode` and `train`, if these stages have run and will run again with another model."""
    if _runs_again("encode", "encode", "model", "revision", "device"):
        from hierrec.encode.model_files import ModelFiles

        ModelFiles.find(params.encode.model, params.encode.revision)
        if params.encode.device == "cuda" and params.encode.engine == "local":  # Ray's workers have their own GPUs
            require_gpu("params.yaml, key encode.device")
    if _runs_again("train_hierarchical", "train", "backbone", "history", "device"):
        from hierrec.model.backbone import check_backbone  # imports torch and transformers

        check_backbone(params.train.backbone, params.train.history)
        if params.train.device == "cuda":
            require_gpu("params.yaml, key train.device")


def _runs_again(stage: str, section: str, *keys: str) -> bool:
    """Return whether a stage has run and will run again, because one of these keys of a section has changed."""
    locked, now = _locked(stage, section), _section(section)
    return locked is not None and any(locked.get(key) != now.get(key) for key in keys)


def _locked(stage: str, section: str) -> dict[str, Any] | None:
    """Return the section with which a stage ran last, from dvc.lock; None: it has not run."""
    try:
        return YAML(typ="safe").load(Path("dvc.lock"))["stages"][stage]["params"]["params.yaml"][section]
    except (OSError, YAMLError, KeyError, TypeError):
        return None


def _section(name: str) -> dict[str, Any]:
    return YAML(typ="safe").load(Path("params.yaml"))[name]


if __name__ == "__main__":
    main()
