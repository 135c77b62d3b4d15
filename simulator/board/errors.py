"""How a program on the virtual board can fail."""

from __future__ import annotations

from enum import Enum

from offramp.configs.errors import CheckFailed


class Ending(Enum):
    """Why the board stopped a program, or the program itself."""

    ACCELERATOR = "the accelerator refused a bus access"
    LIMIT = "the instruction limit was reached"
    ASLEEP = "the core sleeps and nothing is pending that could wake it"
    FAULT = "the core took a fault"
    STATUS = "the firmware gave up"
    INTERRUPT = "an interrupt is due that the board cannot deliver"
    HOST = "the firmware made a call that the emulator does not answer"


class BoardError(CheckFailed):
    """The program did not run to its end. `ending` says why; `calls` had been answered before."""

    def __init__(self, ending: Ending, detail: str, calls: int = 0, console: str = "") -> None:
        said = f"; it printed: {console.strip()}" if console.strip() else ""
        super().__init__(f"virtual board: {ending.value}: {detail} (after {calls} calls{said})")
        self.ending = ending
        self.detail = detail
        self.calls = calls
        self.console = console
