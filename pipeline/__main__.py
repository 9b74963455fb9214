"""`python -m hierrec`."""

from .cli import main

main(prog_name="hierrec")
