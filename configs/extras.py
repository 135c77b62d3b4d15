"""How the optional parts of Offramp are installed."""

from __future__ import annotations

import sys


def install_command(extra: str) -> str:
    """What adds an extra of pyproject.toml to this Python: Offramp is installed from its folder, not from an index."""
    return f"in the folder of Offramp: {sys.executable} -m pip install -e '.[{extra}]'"
