"""One thin file per DVC stage: read params, call the library, write artifacts."""

import sys
from pathlib import Path

# The stages run the package that lies beside them, whatever `hierrec` is installed in the environment.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".package"))
