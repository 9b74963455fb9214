"""The GPU. The file stands alone because it imports torch, which few stages need."""

from .errors import ParamsError


def require_gpu(key: str) -> None:
    """Check that torch can use a GPU.

    Args:
        key: the setting that asks for a GPU, for the message.

    Raises:
        ParamsError: it cannot.
    """
    import torch  # slow: not until it is asked for

    if not torch.cuda.is_available():
        cuda = torch.version.cuda
        what = "torch finds no GPU that it can use" if cuda else "this torch is built without CUDA"
        raise ParamsError(what, key, "set it to cpu, or mend the driver or the build of torch")
