"""Where words go: results to standard output, everything else to standard error."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

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


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """The items, with a progress bar that moves as they are taken."""
    with progress_bar() as bar:
        yield from bar.track(items, total=total, description=description)


def warn(message: str) -> None:
    """One line that the user should see but that stops nothing."""
    err.print(f"avrobust: {message}", style="yellow", markup=False)
