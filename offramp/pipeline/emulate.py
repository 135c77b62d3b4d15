"""The firmware on the virtual board, its bus traffic counted, its answers compared with the integer reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.codegen.external import HEADER
from offramp.codegen.load_images import (
    bias_runs,
    entry_biases,
    entry_chunks,
    reloaded_biases,
    reloaded_chunks,
    weight_chunks,
)
from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed
from offramp.pipeline.outside import read_outside
from offramp.pipeline.report import Verified
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.chain import Chain
from offramp.planner.reference.profile import Profile, exit_indices
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.bus import Words
from offramp.simulator.board.calls import Open
from offramp.simulator.board.external import External
from offramp.simulator.board.faults import Fault
from offramp.simulator.board.faulty_bus import FaultyBus
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.board.meter import Meter
from offramp.simulator.board.run import BoardRun, run
from offramp.simulator.clock import Clock
from offramp.simulator.cycles import RunCycles
from offramp.simulator.lenient import LenientAccelerator

RUNNING = "running the firmware on the virtual board"  # the step of a progress
SHOWN = 10  # mismatches that a message lists


class MeteredBus:
    """An accelerator whose bus writes are counted by what they reach: registers, weights, biases, data. `ran` is called
    after each of its runs."""

    def __init__(
        self, accelerator: Accelerator, device: Device, ran: Callable[[RunCycles], None] | None = None
    ) -> None:
        self.accelerator = accelerator
        self.device = device
        self._ran = ran
        self._layers: list[int] = []  # of a run that `ran` has not been told of
        if ran:
            accelerator.on_layer = self._layers.append
        self.writes: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        return self.accelerator.done

    def write8(self, address: int, value: int) -> None:
        self.accelerator.write8(address, value)

    def write_block(self, addresses: Words, values: Words) -> None:
        for kind, count in count_kinds(addresses, self.device).items():
            self.writes[kind] += count
        self.accelerator.write_block(addresses, values)
        if self._ran and self._layers:
            self._layers.clear()
            self._ran(self.accelerator.cycles)

    def read(self, address: int) -> int:
        return self.accelerator.read(address)

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        self.accelerator.power(quadrants, retain_weights)

    def reset(self, quadrants: int) -> None:
        self.accelerator.reset(quadrants)


def count_kinds(addresses: Words, device: Device) -> Counter[str]:
    """How many of the addresses lie in each memory; "register" for all others."""
    kinds: Counter[str] = Counter()
    places, counts = np.unique(np.asarray(addresses) >> 12, return_counts=True)  # one kind a page, or registers
    for page, count in zip(places.tolist(), counts.tolist(), strict=True):
        place = device.locate(page << 12)
        kinds[place.kind if place and place.kind != "register" else "register"] += count
    return kinds


@dataclass(frozen=True, eq=False)
class Emulated:
    """What the firmware answered on the virtual board, compared with the reference: a line for each mismatch. `wrong`:
    those that are no errors."""

    run: BoardRun
    verified: Verified
    mismatches: tuple[str, ...]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Task:
    """Inputs of a model, int8 (N, channels, rows, cols), and the reference's profile of them; None without inputs."""

    placed: Placed
    x: npt.NDArray[np.int8]
    expected: Profile | None


def verify(
    elf: Path,
    x: npt.NDArray[np.int8],
    placed: Placed,
    expected: Profile,
    progress: Callable[[int], None],
    meter: Meter | None = None,
) -> Emulated:
    """Boot the firmware of one model, have it answer all of `x`, int8 (N, channels, rows, cols), and compare every bit.

    `expected`: the reference's profile of the same images. `meter` is told what happens; a run with one takes many
    times as long. BoardError if the firmware is stuck or fails.
    """
    return verify_together(elf, [Task(placed, x, expected)], progress, meter)[0]


def verify_together(
    elf: Path,
    tasks: Sequence[Task],
    progress: Callable[[int], None],
    meter: Meter | None = None,
    faults: Sequence[Fault] = (),
) -> tuple[Emulated, ...]:
    """The same with the models of an image, a task each: they answer in turn, as long as they have inputs. `faults`
    happen on the board; writes are not counted then. Weights outside flash are read from `firmware/` beside the ELF."""
    external = read_outside(elf.parent, [task.placed for task in tasks])
    device = tasks[0].placed.requirements.device
    clock = Clock(device)
    bus = MeteredBus(Accelerator(device, clock), device, meter.ran if meter else None)
    order = alternating([len(task.x) for task in tasks])
    inputs, models = [tasks[model].x[number] for model, number in order], [model for model, _ in order]
    if faults:
        found = _run_with_faults(elf, inputs, models, device, faults, progress, external)
    else:
        found = run(
            elf, inputs, bus, device, model=models, progress=progress, meter=meter, clock=clock, external=external
        )
    emulated = []
    for number, task in enumerate(tasks):
        own = of_model(found, [index for index, model in enumerate(models) if model == number])
        lines = compare(own, task.placed.requirements.chain, task.expected) if task.expected else ()
        verified = Verified(len(task.x), len(lines), bus.writes["weights"], bus.writes["bias"])
        refused = set(refusals(own))
        wrong = tuple(line for line in lines if line not in refused)
        emulated.append(Emulated(own, verified, lines, wrong))
    if not faults and not any(found.statuses):  # after an error everything is loaded again
        _check_loads(tasks, models, emulated[0].verified)
        if external:
            _check_fetches(tasks, external)
    return tuple(emulated)


def alternating(counts: Sequence[int]) -> list[tuple[int, int]]:
    """(model, number of its input) in turn: every model's first input, every second one, and so on."""
    return [(model, number) for number in range(max(counts)) for model, count in enumerate(counts) if number < count]


def switches_between(counts: Sequence[int]) -> int:
    """How often the models of an image that have so many inputs change in turn."""
    models = [model for model, _ in alternating(counts)]
    return sum(before != after for before, after in pairwise(models))


def of_model(found: BoardRun, rows: Sequence[int]) -> BoardRun:
    """What one model answered, given the numbers of its inputs."""
    return BoardRun(
        statuses=tuple(found.statuses[row] for row in rows),
        answers=found.answers[list(rows)],
        classes=found.classes[list(rows)],
        stages=found.stages[list(rows)],
        confidences=found.confidences[list(rows)],
        values=tuple(found.values[row] for row in rows),
        console=found.console,
    )


def _run_with_faults(
    elf: Path,
    inputs: Sequence[npt.NDArray[np.int8]],
    models: Sequence[int],
    device: Device,
    faults: Sequence[Fault],
    progress: Callable[[int], None],
    external: External | None,
) -> BoardRun:
    """The firmware sleeps until the accelerator's interrupt. Memories without content hold noise, and what the
    accelerator model refuses is let through."""
    clock, interrupts = Clock(device, instant=False), Interrupts()
    bus = FaultyBus(LenientAccelerator(device, clock, seed=1), clock, interrupts, faults, external)
    return run(
        elf,
        inputs,
        bus,
        device,
        model=models,
        progress=progress,
        clock=clock,
        interrupts=interrupts,
        options=Open.SLEEP | Open.INTERRUPT | Open.CLOCK,
        external=external,
    )


def _check_loads(tasks: Sequence[Task], models: Sequence[int], verified: Verified) -> None:
    """CheckFailed if weights or biases were written more often than the one time at the start and, those that are not
    resident, the times that their runs were reached or their model ran after another one. `models`: the model of each
    inference."""
    placed = [task.placed for task in tasks]
    weights = sum(len(chunk.words) for chunk in weight_chunks(*placed))
    biases = sum(len(run.values) for run in bias_runs(*placed))
    entered = Counter(model for before, model in pairwise([None, *models]) if model != before)
    for number, task in enumerate(tasks):
        again = _written_again(task, entered[number])
        weights, biases = weights + again[0], biases + again[1]
    if (verified.weight_words, verified.bias_words) != (weights, biases):
        wrote = f"the firmware wrote {verified.weight_words} weight words and {verified.bias_words} bias words"
        raise CheckFailed(f"{wrote}; loading what is planned takes {weights} and {biases}")


def _check_fetches(tasks: Sequence[Task], external: External) -> None:
    """CheckFailed if more or less was read from outside flash than the header at the start and the weights that are
    written again."""
    planned = HEADER.size + WORD_BYTES * sum(_written_again(task, 0)[0] for task in tasks)
    if external.read_bytes != planned:
        found = f"the firmware read {external.read_bytes} bytes from outside flash"
        raise CheckFailed(f"{found}; what is planned takes {planned}")


def _written_again(task: Task, entered: int) -> tuple[int, int]:
    """Weight and bias words that a model's answers take besides what is resident."""
    chain = task.placed.requirements.chain
    weights = entered * sum(len(chunk.words) for chunk in entry_chunks(task.placed))
    biases = entered * sum(len(run.values) for run in entry_biases(task.placed))
    last_runs = np.array(chain.answering)[exit_indices(chain, task.expected)] if task.expected else np.zeros(0)
    for number, segment in enumerate(chain.segments):
        times = int((last_runs >= number).sum())
        weights += times * sum(len(chunk.words) for chunk in reloaded_chunks(task.placed, segment))
        biases += times * sum(len(run.values) for run in reloaded_biases(task.placed, segment))
    return weights, biases


def check_verified(emulated: Emulated, model: str = "") -> None:
    """CheckFailed with the first mismatches, if there are any. `model`: its name, if there are several."""
    if emulated.mismatches:
        shown = "\n  ".join(emulated.mismatches[:SHOWN])
        count = f"{len(emulated.mismatches)} of {emulated.verified.answers} answers differ from the integer reference"
        raise CheckFailed(f"{f'model {model}: ' if model else ''}{count}:\n  {shown}")


def refusals(found: BoardRun) -> tuple[str, ...]:
    """The lines of `compare` for images that ended in an error."""
    return tuple(_refusal(found, image) for image, status in enumerate(found.statuses) if status)


def _refusal(found: BoardRun, image: int) -> str:
    return f"image {image}: the firmware returned {found.statuses[image].name}"


def compare(found: BoardRun, chain: Chain, expected: Profile) -> tuple[str, ...]:
    """Status, stage, answer, class, confidence and all values of every result; a line for each image in which any
    differs."""
    exit_index = exit_indices(chain, expected)
    stages = chain.stage_numbers
    lines = []
    for image, stage in enumerate(exit_index.tolist()):
        if found.statuses[image]:
            lines.append(_refusal(found, image))
            continue
        wanted = {
            "stage": stage,
            "answer": int(expected.answers[stage][image]),
            "class": int(expected.classes[stage][image]),
            "confidence": int(expected.confidence[stage][image]),
        }
        got = {
            "stage": stages[int(found.stages[image])],
            "answer": int(found.answers[image]),
            "class": int(found.classes[image]),
            "confidence": int(found.confidences[image]),
        }
        different = [f"{key} is {got[key]}, expected {wanted[key]}" for key in wanted if got[key] != wanted[key]]
        different += _different_values(found.values[image], expected.results[stage][image])
        if different:
            lines.append(f"image {image}: {'; '.join(different)}")
    return tuple(lines)


def _different_values(found: npt.NDArray[np.int32], expected: npt.NDArray[np.int8 | np.int32]) -> list[str]:
    """What is said of a result, (values,), that is not as expected: how many of its values differ, and the first."""
    if len(found) != len(expected):
        return [f"the result has {len(found)} values, expected {len(expected)}"]
    wrong = np.flatnonzero(found != expected).tolist()
    if not wrong:
        return []
    first = f"number {wrong[0]} is {found[wrong[0]]}, expected {expected[wrong[0]]}"
    return [f"{len(wrong)} of {len(found)} values differ: {first}"]
