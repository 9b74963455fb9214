"""Which slow libraries a command imports."""

import subprocess
import sys

SLOW = ("torch", "transformers", "faiss", "pydantic", "rich")


def slow_imports(*arguments: str) -> set[str]:
    """Run `hierrec` in a process of its own; return the slow libraries that it imported."""
    code = (
        "import sys\nfrom hierrec.cli import main\n"
        f"main({[*arguments]!r}, standalone_mode=False)\n"
        f"print('slow:', *({{*{SLOW!r}}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*done.stdout.splitlines()[-1].split()[1:]}
