"""The virtual board: a firmware's ELF on an emulated Cortex-M4 core, with an accelerator model on its bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.board.bus import Bus
from offramp.simulator.board.core import Core
from offramp.simulator.board.elf import load_image
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.host import Host
from offramp.simulator.board.meter import Meter
from offramp.simulator.clock import Clock

LIMIT = 20_000_000  # instructions from one answer to the next; an MNIST image takes some 100,000
ERRORS = {0: "OFFRAMP_OK", -1: "OFFRAMP_E_NOT_READY", -2: "OFFRAMP_E_TIMEOUT", -3: "OFFRAMP_E_ARGUMENT"}
_HEAD = 4  # words before the logits of a record: error, class, stage, confidence


@dataclass(frozen=True, eq=False)
class BoardRun:
    """What the firmware answered, image by image, and what it printed.

    errors: int32, (n,), see ERRORS. classes, stages: int32, (n,). confidences: uint32, (n,).
    logits: int32, (n, classes) of the stage that answered; 0 where the error is not 0.
    """

    errors: NDArray[np.int32]
    classes: NDArray[np.int32]
    stages: NDArray[np.int32]
    confidences: NDArray[np.uint32]
    logits: NDArray[np.int32]
    console: str

    def failures(self) -> tuple[str, ...]:
        """One line for each image that ended in an error code of the firmware."""
        bad = np.flatnonzero(self.errors).tolist()
        return tuple(
            f"image {index}: {ERRORS.get(int(self.errors[index]), self.errors[index])} in stage {self.stages[index]}"
            for index in bad
        )


def run(
    elf: Path,
    inputs: NDArray[np.int8],
    accelerator: Bus,
    device: Device,
    *,
    limit: int = LIMIT,
    progress: Callable[[int], None] | None = None,
    meter: Meter | None = None,
    clock: Clock | None = None,
) -> BoardRun:
    """Boot the ELF once and have it answer all inputs, int8, (n, channels, rows, columns).

    `accelerator` starts without power and is used up. `progress` is called with the number of answers so far.
    `clock`: the accelerator's. `meter` counts instructions and bus accesses; a run with one takes many times as long.
    BoardError if the program does not get to its end; an error code that it returns for an image is no such error.
    """
    images = [np.ascontiguousarray(image, dtype=np.int8).tobytes() for image in inputs]
    host = Host(images, _told(progress, meter), meter.given if meter else None)
    status = Core(load_image(elf), device, accelerator, host, meter, clock=clock).run(limit)
    if status:
        raise BoardError(Ending.STATUS, f"status {status}", len(host.records), host.console)
    if len(host.records) != len(inputs):
        detail = f"{len(host.records)} answers to {len(inputs)} inputs"
        raise BoardError(Ending.STATUS, detail, len(host.records), host.console)
    return _answers(host)


def _told(progress: Callable[[int], None] | None, meter: Meter | None) -> Callable[[int], None]:
    def tell(answers: int) -> None:
        if meter:
            meter.answered()
        if progress:
            progress(answers)

    return tell


def _answers(host: Host) -> BoardRun:
    records = np.frombuffer(b"".join(host.records), dtype="<i4").astype(np.int32)
    table = records.reshape(len(host.records), -1) if host.records else np.zeros((0, _HEAD), dtype=np.int32)
    return BoardRun(
        errors=table[:, 0],
        classes=table[:, 1],
        stages=table[:, 2],
        confidences=table[:, 3].view(np.uint32),
        logits=table[:, _HEAD:],
        console=host.console,
    )


def run_program(
    elf: Path, accelerator: Bus, device: Device, *, limit: int = LIMIT, clock: Clock | None = None
) -> tuple[int, str]:
    """Boot an ELF that needs no inputs, such as the demonstration: exit status and what it printed. `clock`: the one
    that the accelerator has."""
    host = Host([])
    status = Core(load_image(elf), device, accelerator, host, clock=clock).run(limit)
    return status, host.console
