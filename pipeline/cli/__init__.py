"""The command line `hierrec`. Commands import heavy libraries inside functions, so that help starts fast."""

import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from ..core.errors import reported_errors
from ..core.signals import ended_by
from .deploy import export, serve, update
from .embeddings import embeddings
from .metrics import data, metrics, report
from .recommend import recommend, similar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MEMORY = "end other programs, or use a machine with more memory"


class Commands(click.Group):
    """A group that shows every error as one message."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **settings: Any) -> Any:
        """Run the command line, help included. Exit status 1 on an error, 128 + n on signal n."""
        words = sys.argv[1:] if args is None else list(args)
        with ended_by(SIGNALS, "interrupted"), reported_errors("--debug" in words, MEMORY):
            return super().main(words, *rest, **settings)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="hierrec")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Sequential recommendation with language models, without decoding.

    `dvc repro` builds the models; these commands use them.
    """


for command in (data, embeddings, export, metrics, recommend, report, serve, similar, update):
    main.add_command(command)
