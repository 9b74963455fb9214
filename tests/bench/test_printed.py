"""A measurement's JSON object is found even if a C library prints after it."""

import subprocess
import sys

from bench.printed import last_object

PRINTS = """
import ctypes
ctypes.CDLL(None).puts(b"resizing to 144000 bytes")
print("{\\"old\\": 1}")
print("{\\"rows\\": 3}")
"""


def test_what_c_printed_comes_last() -> None:
    printed = subprocess.run([sys.executable, "-c", PRINTS], stdout=subprocess.PIPE, check=True, env={}).stdout
    assert printed.splitlines()[-1] == b"resizing to 144000 bytes"
    assert last_object(printed) == {"rows": 3}
