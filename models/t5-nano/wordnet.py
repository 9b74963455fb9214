"""WordNet's synsets as plain text."""

from collections.abc import Iterator
from pathlib import Path


def read_synsets(folder: Path) -> Iterator[tuple[list[str], str]]:
    """Yield (lemmas, gloss) of each synset, in file order.

    The layout is that of wndb(5WN): "offset file type count lemma id ... | gloss" a line, the count in hex.
    """
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text("utf-8", errors="replace").splitlines():
            if line.startswith("  "):  # the licence
                continue
            fields, _, gloss = line.partition(" | ")
            words = fields.split(" ")
            count = int(words[3], 16)
            lemmas = [lemma.split("(")[0].replace("_", " ") for lemma in words[4 : 4 + 2 * count : 2]]
            yield lemmas, gloss.strip()
