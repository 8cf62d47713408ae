"""Where words go: results to standard output, everything else to standard error."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

T = TypeVar("T")
WIDEST = 10_000  # characters of a table's line

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def progress_bar() -> Progress:
    """A bar with what is running and an estimate, on standard error.

    It is silent where that is not a terminal.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )


def print_table(table: Table) -> None:
    """Prints a table as wide as it is.

    A narrower terminal wraps its lines. rich would cut them, at 80 characters where standard output
    is no terminal.
    """
    room = out.options.update(max_width=WIDEST)
    width = Measurement.get(out, room, table).maximum
    wide = Console(highlight=False, file=out.file, width=max(out.width, width))
    wide.print(table, crop=False)


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """The items, with a progress bar that moves as they are taken."""
    with progress_bar() as bar:
        yield from bar.track(items, total=total, description=description)


def warn(message: str) -> None:
    """One line that the user should see but that stops nothing."""
    err.print(f"avrobust: {message}", style="yellow", markup=False)
