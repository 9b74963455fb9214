"""The command, run in this process on artifacts of the sample."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from hierrec.cli import main


@pytest.fixture
def run() -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run
