"""The `hierrec` command: a group whose commands are imported when they are asked for."""

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from ..core.errors import HierrecError, memory_needed, unforeseen_errors
from ..core.signals import ended_by

COMMANDS = ("embeddings", "metrics", "recommend", "similar")
"""Each is a module of this package, and the command in it has the module's name."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
            with (
                ended_by(SIGNALS, "interrupted"),
                unforeseen_errors(),
                memory_needed("memory ran out", remedy=MEMORY),
            ):
                return super().main(words, *rest, **settings)
        except HierrecError as error:
            if "--debug" in words:
                raise
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hierrec")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Sequential recommendation with language models, without decoding.

    `dvc repro` builds the models; these commands use them.
    """
