"""How users are told to install an extra."""

from __future__ import annotations

import sys

from offramp.configs.extras import install_command


def test_the_command_asks_no_package_index() -> None:
    """`offramp` is on no index: the name would bring nothing, or somebody else's package."""
    command = install_command("board")
    assert command == f"in the folder of Offramp: {sys.executable} -m pip install -e '.[board]'"
