"""The terminal: full width in a terminal, a fixed one in files and pipes, so that the same run prints the same text."""

from __future__ import annotations

import sys

from rich.console import Console

WIDTH = 110


def make_console() -> Console:
    """A console for standard output."""
    return Console(width=None if sys.stdout.isatty() else WIDTH, soft_wrap=True, highlight=False)
