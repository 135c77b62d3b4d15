"""The virtual board: a firmware's ELF on an emulated Cortex-M4 core, with an accelerator model on its bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.board.bus import Bus
from offramp.simulator.board.calls import Open, Shape, Status
from offramp.simulator.board.core import Core
from offramp.simulator.board.elf import load_image
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.external import External
from offramp.simulator.board.host import Host
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.board.meter import Meter
from offramp.simulator.board.session import LIMIT, UNTOUCHED, Session
from offramp.simulator.clock import Clock

NO_ANSWER = 0xFFFFFFFF  # OFFRAMP_NO_ANSWER


@dataclass(frozen=True, eq=False)
class BoardRun:
    """What the firmware answered, input by input, and what it printed.

    statuses: of offramp_infer, or of offramp_output if that failed. answers, classes, stages, confidences: int64, (n,),
    0 where it failed; an answer is -1 where the stage's class means none. values: for each input the whole result of
    the stage that answered, int32, flat in the order channel, row, column; none where it failed.
    """

    statuses: tuple[Status, ...]
    answers: NDArray[np.int64]
    classes: NDArray[np.int64]
    stages: NDArray[np.int64]
    confidences: NDArray[np.int64]
    values: tuple[NDArray[np.int32], ...]
    console: str

    def failures(self) -> tuple[str, ...]:
        """One line for each input that ended in an error."""
        return tuple(f"image {index}: {status.name}" for index, status in enumerate(self.statuses) if status)


def run(
    elf: Path,
    inputs: Sequence[NDArray[np.int8]] | NDArray[np.int8],
    accelerator: Bus,
    device: Device,
    *,
    clock: Clock | None = None,
    model: int | Sequence[int] = 0,
    limit: int = LIMIT,
    progress: Callable[[int], None] | None = None,
    meter: Meter | None = None,
    interrupts: Interrupts | None = None,
    options: Open = Open.DEFAULTS,
    external: External | None = None,
) -> BoardRun:
    """Boot the ELF once and have a model of its first image answer all inputs, int8, (channels, rows, columns), or each
    input another one: `model` is its number, or that for every input.

    `accelerator` starts without power and is used up; `clock` is the one that it has. `progress` is called with the
    number of answers so far. `interrupts`: what others raise too. `options`: of offramp_open.
    `external`: what its fetch function reads.
    `meter` counts instructions and bus accesses; a run with one takes many times as long.
    BoardError if the program does not get to its end; an error that it returns for an input is no such error.
    """
    rows = np.zeros((len(inputs), 4), np.int64)
    statuses, values = [], []
    with Session(
        elf, accelerator, device, limit=limit, meter=meter, clock=clock, interrupts=interrupts, external=external
    ) as session:
        opened = session.open(options=options)
        if opened.status:
            raise BoardError(Ending.STATUS, f"offramp_open returned {opened.status.name}", 0, session.host.console)
        models = [model] * len(inputs) if isinstance(model, int) else model
        shapes = {one: stage_shapes(session, one) for one in sorted(set(models))}
        for index, (one, image) in enumerate(zip(models, inputs, strict=True)):
            if meter:
                meter.given(index)
            answer = session.infer(one, np.ascontiguousarray(image, dtype=np.int8).tobytes())
            statuses.append(answer.status)
            values.append(np.zeros(0, np.int32))
            if not answer.status:
                result = answer.result
                meant = result.answer if result.answer != NO_ANSWER else -1
                rows[index] = meant, result.class_index, result.stage, result.confidence
                statuses[-1], values[-1] = _output(session, shapes[one][result.stage])
            if meter:
                meter.answered()
            if progress:
                progress(index + 1)
        session.close()
    answers, classes, stages, confidences = rows.T
    return BoardRun(tuple(statuses), answers, classes, stages, confidences, tuple(values), session.host.console)


def _output(session: Session, shape: Shape) -> tuple[Status, NDArray[np.int32]]:
    """The whole result, as it is, widened here: the board has no memory for all of it in words."""
    size = shape.values * shape.bits // 8
    answer = session.output(size)
    if answer.status:
        return answer.status, np.zeros(0, np.int32)
    data = answer.value or bytes([UNTOUCHED]) * size  # a result may look like memory that nothing was written to
    return answer.status, np.frombuffer(data, f"<i{shape.bits // 8}").astype(np.int32)


def stage_shapes(session: Session, model: int, image: int = 0) -> list[Shape]:
    """What the stages of a model give."""
    shapes: list[Shape] = []
    while True:
        answer = session.shape(image, model, len(shapes))
        if answer.status:
            return shapes
        shapes.append(answer.result)


def run_program(
    elf: Path,
    accelerator: Bus,
    device: Device,
    *,
    limit: int = LIMIT,
    clock: Clock | None = None,
    external: External | None = None,
) -> tuple[int, str]:
    """Boot an ELF that needs no calls, such as the demonstration: exit status and what it printed."""
    host = Host(external=external)
    status = run_with(host, elf, accelerator, device, limit=limit, clock=clock)
    return status, host.console


def run_with(
    host: Host,
    elf: Path,
    accelerator: Bus,
    device: Device,
    *,
    limit: int = LIMIT,
    meter: Meter | None = None,
    clock: Clock | None = None,
    interrupts: Interrupts | None = None,
) -> int:
    """Boot an ELF and run it to its end, with what the host's streams hold: exit status."""
    host.closed = True
    core = Core(load_image(elf), device, accelerator, host, meter, clock=clock, interrupts=interrupts)
    status = core.run(limit)
    assert status is not None  # it does not wait: streams end
    return status
