"""Damaged FAISS files with matching hashes. Each is opened in a process of its own, which FAISS may kill.

`python -m tests.reliability.fuzz_index KIND TIMES` prints each outcome, then their counts as JSON.
"""

import json
import os
import random
import resource
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import cast

import numpy as np
from hierrec.core.errors import HierrecError
from hierrec.core.files import read_json, sha256_file, write_json
from hierrec.index.build import build_index
from hierrec.search.index import ItemIndex
from hierrec.search.index_files import Kind

VECTORS = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)
OUTCOMES = {0: "read", 3: "refused", 4: "untyped error"}
MEMORY = 8 * 2**30
NUMBERS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\1\0\0\0")


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Change a few bytes, numbers or lengths, or cut the rest off; most often in the first 300 bytes, the header."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        limit = len(changed) if generator.random() < 0.3 else min(len(changed), 300)
        at = generator.randrange(limit)
        match generator.randrange(4):
            case 0:
                changed[at] = generator.randrange(256)
            case 1:
                changed[at : at + 4] = generator.choice(NUMBERS)
            case 2:
                changed[at : at + generator.randint(0, 8)] = generator.randbytes(generator.randint(0, 8))
            case _:
                del changed[at + 1 :]
    return bytes(changed)


def outcome(folder: Path) -> int:
    """Open an index and search in it, in a process of its own; return how that ended."""
    pid = os.fork()
    if pid == 0:
        warnings.simplefilter("ignore")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        status = 4
        try:
            ItemIndex.open(folder, "hash").search(VECTORS[:5], 3)
            status = 0
        except HierrecError:
            status = 3
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(kind: Kind, times: int) -> None:
    """Damage an index `times` times."""
    generator, outcomes = random.Random(kind), Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        sound, broken = Path(temporary) / "sound", Path(temporary) / "broken"
        build_index(VECTORS, sound, "hash", kind, 0.9)
        names = sorted(read_json(sound / "manifest.json")["files"])
        for number in range(times):
            shutil.copytree(sound, broken)
            path = broken / generator.choice(names)
            path.write_bytes(damaged(path.read_bytes(), generator))
            manifest = read_json(broken / "manifest.json")
            manifest["files"][path.name] = sha256_file(path)
            write_json(broken / "manifest.json", manifest)
            status = outcome(broken)
            name = OUTCOMES.get(status, f"killed by signal {-status}")
            print(number, path.name, name)
            outcomes[name] += 1
            shutil.rmtree(broken)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(cast(Kind, sys.argv[1]), int(sys.argv[2]))
