"""Tables for a terminal, and as plain aligned lines for a pipe."""

from collections.abc import Collection, Sequence

import click


def show_table(header: Sequence[str], rows: Sequence[Sequence[object]], text: Collection[str]) -> None:
    """Print a table: with borders in a terminal; in a pipe as plain columns, two spaces apart.

    Floats are shown with four digits. Columns that are not in `text` are aligned to the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = Console().is_terminal
    console = Console(width=None if terminal else 100_000)  # in a pipe no line is broken, however long it is
    padding = (0, 1) if terminal else (0, 2, 0, 0)
    table = Table(box=box.ROUNDED if terminal else None, padding=padding, pad_edge=terminal)
    for name in header:
        table.add_column(name, justify="left" if name in text else "right")
    for row in rows:
        # Text, because rich would read a title in brackets as markup.
        table.add_row(*(Text(f"{cell:.4f}" if isinstance(cell, float) else str(cell)) for cell in row))
    with console.capture() as shown:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in shown.get().splitlines()))
