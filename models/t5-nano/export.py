"""Stages `first`, `second`, `export`: a round's folder (float16 weights, config, tokenizer); the last has a card."""

import json
import shutil
from pathlib import Path

import torch
from hierrec.core.files import atomic_directory
from safetensors.torch import load_file, save_file
from settings import load_params
from student import config
from transformers import AutoTokenizer


def main() -> None:
    """Write the folder `export.folder`, whole or not at all."""
    settings = load_params()
    folder = Path(settings["export"]["folder"])
    words = Path(settings["train"]["tokenizer"])
    tokenizer = AutoTokenizer.from_pretrained(words)
    with atomic_directory(folder) as temporary:
        weights = load_file("work/model/model.safetensors")
        halves = {name: value.to(torch.float16).contiguous() for name, value in weights.items()}
        save_file(halves, temporary / "model.safetensors", metadata={"format": "pt"})
        content = config(len(tokenizer), settings["train"]).to_diff_dict()
        content |= {"architectures": ["T5EncoderModel"], "dtype": "float32"}
        (temporary / "config.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(words / name, temporary / name)
        if card := settings["export"].get("card"):  # of the last round alone: it tells of all
            shutil.copyfile(card, temporary / "README.md")
        for path in temporary.iterdir():
            path.chmod(0o644)
    print(sum(path.stat().st_size for path in folder.iterdir()), "bytes in", folder)


if __name__ == "__main__":
    main()
