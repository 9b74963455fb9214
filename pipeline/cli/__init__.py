"""The `hierrec` command: a group whose commands are imported when they are asked for."""

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from .. import __version__
from ..errors import HierrecError, memory_needed, unforeseen_errors

COMMANDS = ("embeddings", "metrics", "recommend", "similar")
"""Each is a module of this package, and the command in it has the module's name."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
MEMORY = "end other programs, or use a machine with more memory"


class LazyGroup(click.Group):
    """A group that imports a command's module on use, and shows any error as one message.

    Help imports all of them; so a module imports what is heavy inside its functions.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None where there is no such one."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **settings: Any) -> Any:
        """Run the command line, help included: exit status 1 on an error, 128 + n on signal n."""
        words = sys.argv[1:] if args is None else list(args)
        try:
            with _signals(), unforeseen_errors(), memory_needed("memory ran out", remedy=MEMORY):
                return super().main(words, *rest, **settings)
        except HierrecError as error:
            if "--debug" in words:
                raise
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@contextmanager
def _signals() -> Iterator[None]:
    """Let signals that ask for the end raise SystemExit: what is being written is removed on the way out."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # nohup ignores SIGHUP, and a shell SIGINT of what runs in the background. Only the main thread has signals.
    main_thread = threading.current_thread() is threading.main_thread()
    ours = [number for number, handler in before.items() if main_thread and handler in DEFAULTS]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _stop(number: int, _: object) -> None:
    """End the command with one line."""
    os.write(2, b"interrupted\n")
    sys.exit(128 + number)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hierrec")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Sequential recommendation with language models, without decoding.

    `dvc repro` builds the models; these commands use them.
    """
