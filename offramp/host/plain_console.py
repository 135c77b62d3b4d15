"""A console that prints text literally."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from offramp.host.output import shown


class PlainConsole(Console):
    """Prints text as it is: nothing in it is markup, and nothing controls the terminal."""

    def __init__(self, width: int | None, quiet: bool = False) -> None:
        super().__init__(width=width, soft_wrap=True, highlight=False, markup=False, emoji=False, quiet=quiet)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text), **options)
