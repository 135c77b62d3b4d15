"""What makes the page, where its plotting library, an extra, is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from offramp.comparison.layouts import Layout
from offramp.configs.errors import InputError
from offramp.configs.extras import install_command


def page_maker() -> Callable[[Sequence[Layout]], str]:
    """The function that makes the page of layouts. InputError where the plotting library is not installed."""
    try:
        from offramp.comparison.page import comparison_page
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs {error.name}; {install_command('page')}") from error
    return comparison_page
