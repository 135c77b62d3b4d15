"""How the optional parts of Offramp are installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from offramp.configs.errors import InputError


def install_command(extra: str) -> str:
    """What adds an extra of pyproject.toml to this Python: Offramp is installed from its folder, not from an index."""
    return f"in the folder of Offramp: {sys.executable} -m pip install -e '.[{extra}]'"


@contextmanager
def pytorch_needed() -> Iterator[None]:
    """For imports of what trains: InputError says how to get PyTorch where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "torch":
            raise
        raise InputError(f"training needs PyTorch; {install_command('train')}") from error
