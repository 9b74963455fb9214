"""The `hierrec` command: a group whose commands are imported when they are asked for."""

import importlib
import signal
import sys
from typing import Any

import click

from .. import __version__
from ..errors import HierrecError, unforeseen_errors

COMMANDS = ("embeddings", "metrics", "recommend", "similar")
"""Each is a module of this package, and the command in it has the module's name."""


class LazyGroup(click.Group):
    """A group that imports a command's module on use, and shows a typed error as one message.

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

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; exit with status 1 on an error, 130 on Ctrl-C."""
        try:
            with unforeseen_errors():
                try:
                    return super().invoke(ctx)
                except (click.ClickException, click.exceptions.Exit, click.Abort) as error:
                    clicks_own = error
            raise clicks_own
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(128 + signal.SIGINT)
        except HierrecError as error:
            if ctx.params["debug"]:
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
