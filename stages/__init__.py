"""One thin file per DVC stage: read params, call the library, write artifacts."""

import gc
import signal
import sys
from pathlib import Path

# The stages run the package that lies beside them, whatever `hierrec` is installed in the environment.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".package"))

from hierrec.core.signals import leave

# Python calls itself `-m` as long as it looks for the module that it was asked to run. Libraries are imported next,
# which takes seconds. `Stage` takes both settings back.
if sys.argv[0] == "-m":
    gc.disable()  # what they make stays: to look for garbage in it takes a seventh of the time
    # Ctrl-C: there is nothing to save yet, and an exception would come out of the midst of them.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
