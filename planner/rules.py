"""A rule: a small function whose docstring tells the user what is allowed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def message_of(rule: Callable[..., Any], limits: Mapping[str, int]) -> str:
    """A rule's docstring on one line, with the device's numbers in place of the names in braces."""
    text = inspect.cleandoc(rule.__doc__ or "")
    return " ".join(text.split()).format_map(limits)
