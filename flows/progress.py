"""Progress bars on the terminal; silent where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# Standard output belongs to the answer of a command, so that --json can be piped.
console = Console(stderr=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display: description, bar, count, elapsed time."""
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress


def say(message: str) -> None:
    """One line for the person who waits."""
    console.print(message, highlight=False, soft_wrap=True)
