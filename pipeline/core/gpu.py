"""The GPU. A module of its own, because it imports torch."""

from .errors import ParamsError


def require_gpu(key: str) -> None:
    """Raise ParamsError if torch can use no GPU. `key` is the setting that asks for one."""
    import torch  # slow; most commands run without it

    if not torch.cuda.is_available():
        cuda = torch.version.cuda
        what = "torch finds no GPU that it can use" if cuda else "this torch is built without CUDA"
        raise ParamsError(what, key, "set it to cpu, or repair the driver or the build of torch")
