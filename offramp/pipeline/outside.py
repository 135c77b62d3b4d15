"""The file of weights outside flash in the folder of a build."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from offramp.configs.bounds import FIRMWARE_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import read_bytes
from offramp.planner.allocation.place import Placed
from offramp.simulator.board.external import External

FOLDER = "firmware"


def has_outside(models: Iterable[Placed]) -> bool:
    """Whether an image with these models has weights outside flash."""
    return any(placed.reload is not None and placed.reload.external for placed in models)


def outside_file(build: Path) -> str:
    """Its name, relative to the build. InputError if there is none."""
    found = sorted((build / FOLDER).glob("*_weights.bin"))
    if len(found) != 1:
        raise InputError(Diagnostic(Where(str(build / FOLDER)), "holds no file of weights outside flash; build again"))
    return found[0].relative_to(build).as_posix()


def read_outside(build: Path, models: Iterable[Placed]) -> External | None:
    """What the firmware of a build reads from outside flash; None if everything is in it."""
    if not has_outside(models):
        return None
    return External(read_bytes(build / outside_file(build), FIRMWARE_FILE, recorded=False))
