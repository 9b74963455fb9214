"""Whether there is a GPU where one is asked for."""

from .errors import ParamsError


def require_gpu(key: str) -> None:
    """Refuse to go on without a GPU.

    Args:
        key: what asks for one, as the message shall name it.

    Raises:
        ParamsError: torch can use none.
    """
    import torch  # only here: most commands need neither

    if torch.cuda.is_available():
        return
    what = "torch finds no GPU that it can use" if torch.version.cuda else "this torch is built without CUDA"
    raise ParamsError(what, key, "set it to cpu, or mend the driver or the build of torch")
