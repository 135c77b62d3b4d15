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
    """Its name, relative to the build. InputError if there is none, or several."""
    found = sorted((build / FOLDER).glob("*_weights.bin"))
    if not found:
        raise InputError(Diagnostic(Where(str(build / FOLDER)), "holds no file of weights outside flash; build again"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        text = f"holds several files of weights outside flash, where a build has one: {names}; remove what was added"
        raise InputError(Diagnostic(Where(str(build / FOLDER)), text))
    return found[0].relative_to(build).as_posix()


def read_outside(build: Path, models: Iterable[Placed]) -> External | None:
    """What the firmware of a build reads from outside flash; None if everything is in it."""
    if not has_outside(models):
        return None
    return External(read_bytes(build / outside_file(build), FIRMWARE_FILE, recorded=False))
