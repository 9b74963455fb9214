"""The command line `hierrec`. A command's module is imported when the command is used."""

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from ..core.errors import reported_errors
from ..core.signals import ended_by

COMMANDS = ("data", "embeddings", "export", "metrics", "recommend", "report", "serve", "similar", "update")
"""Names of the commands, of their modules in this package, and of the functions there."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MEMORY = "end other programs, or use a machine with more memory"


class LazyGroup(click.Group):
    """A group that imports a command's module on use and shows every error as one message.

    Help imports all modules, so they import heavy libraries inside functions.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None if there is no command of that name."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **settings: Any) -> Any:
        """Run the command line, help included. Exit status 1 on an error, 128 + n on signal n."""
        words = sys.argv[1:] if args is None else list(args)
        with ended_by(SIGNALS, "interrupted"), reported_errors("--debug" in words, MEMORY):
            return super().main(words, *rest, **settings)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="hierrec")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Sequential recommendation with language models, without decoding.

    `dvc repro` builds the models; these commands use them.
    """
