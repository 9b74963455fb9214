"""params: check all of params.yaml before DVC removes the outputs of other stages.

For `dataset: files`, the columns of local tables are checked too; so are the models of stages that will run again.
"""

from contextlib import suppress
from pathlib import Path

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

    cache, changed = cache_dir("downloads"), _changed("ingest", "ingest") is not False
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
    if _changed("encode", "encode", "model", "revision", "device"):
        from hierrec.encode.model_files import ModelFiles

        ModelFiles.find(params.encode.model, params.encode.revision)
        if params.encode.device == "cuda" and params.encode.engine == "local":  # Ray's workers have their own GPUs
            require_gpu("params.yaml, key encode.device")
    if _changed("train_hierarchical", "train", "backbone", "history", "device"):
        from hierrec.model.backbone import check_backbone  # imports torch and transformers

        check_backbone(params.train.backbone, params.train.history)
        if params.train.device == "cuda":
            require_gpu("params.yaml, key train.device")


def _changed(stage: str, section: str, *keys: str) -> bool | None:
    """Return whether a section (its `keys`) differs from dvc.lock, so that the stage will run; None: it never ran."""
    yaml = YAML(typ="safe")
    try:
        locked = yaml.load(Path("dvc.lock"))["stages"][stage]["params"]["params.yaml"][section]
    except (OSError, YAMLError, KeyError, TypeError):
        return None
    now = yaml.load(Path("params.yaml"))[section]
    return any(locked.get(key) != now.get(key) for key in keys) if keys else locked != now


if __name__ == "__main__":
    main()
