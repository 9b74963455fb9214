"""One thin file per DVC stage: read params, call the library, write artifacts."""

import signal
import sys
from pathlib import Path

# The stages run the package that lies beside them, whatever `hierrec` is installed in the environment.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".package"))

from hierrec.core.signals import leave

# Ctrl-C while libraries are imported, which takes seconds: there is nothing to save yet, and an exception would come
# out of the midst of them. Python calls itself `-m` as long as it looks for the module that it was asked to run.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave)
