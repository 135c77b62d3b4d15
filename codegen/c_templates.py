"""Jinja2 as all templates of C and of what goes with it want it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FIRMWARE = Path(__file__).parent / "templates"


@cache
def c_templates(folder: Path = FIRMWARE) -> Environment:
    """The templates of a folder. What a template names has to be given to it."""
    made = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters["suffix"] = lambda text, suffix: f"{text}{suffix}"
    made.filters["signed"] = lambda value: "INT32_MIN" if value == -(1 << 31) else str(value)
    made.filters["word"] = lambda value: f"0x{value:08x}u"
    return made
