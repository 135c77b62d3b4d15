"""The terminal: full width in a terminal, a fixed one in files and pipes, so that the same run prints the same text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from offramp.output import shown
from offramp.plain_console import PlainConsole

WIDTH = 110


def make_console() -> Console:
    """A console for standard output."""
    return PlainConsole(None if sys.stdout.isatty() else WIDTH)


@contextmanager
def progress_on(console: Console) -> Iterator[Callable[[str], None]]:
    """Say what is being done: a line that changes in a terminal, a line each elsewhere."""
    if not console.is_terminal:
        yield lambda text: console.print(f"{text} ...")
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(shown(f"{text} ...")))
