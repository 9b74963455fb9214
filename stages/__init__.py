"""One thin file per DVC stage: read params, call the library, write artifacts."""

import gc
import signal
import sys
from pathlib import Path

# The stages run the package that lies beside them, whatever `hierrec` is installed in the environment.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".package"))

from hierrec.core.signals import leave

# sys.argv[0] is "-m" while Python looks for the module to run. Libraries are imported next, which takes seconds.
# `Stage` reverts both settings.
if sys.argv[0] == "-m":
    gc.disable()  # libraries' objects stay: a search for garbage among them takes a seventh of the time
    # Ctrl-C: there is nothing to save yet, and an exception would leave from the middle of an import.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
