"""A placed chain as the C generator wants it: everything its image holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from offramp.codegen.firmware import DIGEST_BYTES, BusWrite, Firmware, Guard, KnownAnswer, Model, StageCode
from offramp.codegen.hardware_exits import clear_writes, hit_address
from offramp.codegen.load_images import (
    bias_runs,
    buffer_runs,
    entry_biases,
    entry_chunks,
    input_layout,
    reloaded_biases,
    reloaded_chunks,
    tensor_layout,
    weight_chunks,
)
from offramp.codegen.lower import Lowered
from offramp.codegen.lower_slots import reads_fifo
from offramp.codegen.program import Switching, start_writes, stop_writes
from offramp.configs.device import Device
from offramp.planner.allocation.budget import segment_cycles
from offramp.planner.hardware.cycles import Cycles, sum_cycles
from offramp.planner.spec.clocks import clock_setting

# Memory timing that the vendor's generated code sets: write-negative-voltage enable, read margin 3 (UG7456 27-13).
SRAM_TIMING = {"write_negative_enable": 1, "read_margin": 3, "margin_enable": 1}
MOST_TIMES, MOST_BEYOND = 4, 1000  # modelled cycles of a stage, and cycles beyond, after which it has failed


def assemble(
    lowered: Lowered,
    name: str,
    digest: bytes = bytes(DIGEST_BYTES),
    labels: Sequence[str] = (),
    tests: Sequence[KnownAnswer] = (),
) -> Firmware:
    """The image of a chain, as its only model: for the firmware every segment is a stage.

    digest: the first bytes of the plan's.
    """
    return assemble_together([ModelPart(name, lowered, tuple(labels))], name, digest, tests)


@dataclass(frozen=True, eq=False)
class ModelPart:
    """A model of an image, and what its classes are called."""

    name: str
    lowered: Lowered
    labels: tuple[str, ...] = ()


def assemble_together(
    parts: Sequence[ModelPart],
    name: str,
    digest: bytes = bytes(DIGEST_BYTES),
    tests: Sequence[KnownAnswer] = (),
) -> Firmware:
    """The image of models that were placed and lowered together. digest: the first bytes of the plan's."""
    placed = [part.lowered.placed for part in parts]
    device = placed[0].requirements.device
    programs = [program for part in parts for program in part.lowered.programs]
    used = tuple(sorted({quadrant for program in programs for quadrant in program.quadrants}))
    return Firmware(
        name=name,
        models=tuple(map(_model, parts)),
        quadrants=used,
        clock=clock_setting(device),
        init=init_writes(used, device),
        readable=readable_writes(used, device),
        guards=timing_guards(used, device),
        weights=weight_chunks(*placed),
        biases=bias_runs(*placed),
        digest=digest,
        tests=tuple(tests),
    )


def _model(part: ModelPart) -> Model:
    stages = tuple(_stage_code(part.lowered, index) for index in range(len(part.lowered.programs)))
    placed = part.lowered.placed
    buffers, weights, biases = buffer_runs(placed), entry_chunks(placed), entry_biases(placed)
    entered = len(part.lowered.switching.entry()) if part.lowered.switching.kept else None
    return Model(part.name, input_layout(placed), stages, part.labels, buffers, weights, biases, entered)


def init_writes(quadrants: Sequence[int], device: Device) -> tuple[BusWrite, ...]:
    """After power-up: memories awake, memory timing, clock on, express loading on."""
    control = device.registers["CTRL"].encode({"clock_enable": 1, "express": 1})
    timing = device.registers["SRAM"].encode(SRAM_TIMING)
    writes = [BusWrite(device.register_address("AON"), 0)]
    for quadrant in quadrants:
        writes.append(BusWrite(device.register_address("CTRL", quadrant), control))
        writes.append(BusWrite(device.register_address("SRAM", quadrant), timing))
    return tuple(writes)


def readable_writes(quadrants: Sequence[int], device: Device) -> tuple[BusWrite, ...]:
    """Express loading off, so that kernel columns are read where plain writes put them."""
    control = device.registers["CTRL"].encode({"clock_enable": 1})
    return tuple(BusWrite(device.register_address("CTRL", quadrant), control) for quadrant in quadrants)


def timing_guards(quadrants: Sequence[int], device: Device) -> tuple[Guard, ...]:
    """The memory timing, which `init_writes` sets and power-up does not."""
    register = device.registers["SRAM"]
    value = register.encode(SRAM_TIMING)
    return tuple(Guard(device.register_address("SRAM", quadrant), register.mask, value) for quadrant in quadrants)


def control_guards(start: Sequence[BusWrite], device: Device) -> tuple[Guard, ...]:
    """What `start` leaves in control registers, but for the done bit."""
    register = device.registers["CTRL"]
    mask = register.mask & ~register.encode({"done": 1})
    held = {write.address: write.value for write in start}
    return tuple(Guard(address, mask, value) for address, value in held.items())


def cycle_bounds(cycles: Cycles, device: Device) -> tuple[int, int]:
    """Cycles of the core's clock between which a stage of so many modelled cycles finishes: from 9/10 of them (1/4 of
    estimated ones) to four times as many and some."""
    core, cnn = device.clocks["core_hz"], device.clocks["cnn_hz"]
    part, whole = (1, 4) if cycles.estimate else (9, 10)
    least = cycles.cycles * part * core // (whole * cnn)
    return least, -(-(MOST_TIMES * cycles.cycles + MOST_BEYOND) * core // cnn)


def _registers(states: Switching, index: int) -> tuple[BusWrite, ...]:
    """Of a stage, in the order of the image: those that entering the model writes come first."""
    entering = {write.address for write in states.entry()}
    return tuple(sorted(states.configure(index), key=lambda write: (write.address not in entering, write.address)))


def _stage_code(lowered: Lowered, index: int) -> StageCode:
    placed, program, states = lowered.placed, lowered.programs[index], lowered.switching
    device = placed.requirements.device
    chain = placed.requirements.chain
    segments, run = chain.segments, chain.run_with(index)
    segment = segments[index]
    begins = start_writes(program, device)
    start = (*clear_writes(placed, [segments[one] for one in run]), *begins) if index == run[0] else ()
    # A run can end with any of its stages: not before those that it has run, not after all of them.
    cycles = [segment_cycles(placed, segments[one]) for one in run]
    least, _ = cycle_bounds(sum_cycles(cycles[: run.index(index) + 1]), device)
    _, most = cycle_bounds(sum_cycles(cycles), device)
    last = index == len(lowered.programs) - 1
    chunks, outside = reloaded_chunks(placed, segment), placed.reload is not None and placed.reload.external
    return StageCode(
        name=segment.stage.name,
        quadrants=program.quadrants,
        registers=_registers(states, index),
        advance=() if last else states.transition(index, index + 1),
        restore=states.transition(index, 0) if index else (),
        start=start,
        stop=stop_writes(program, device),
        control=control_guards(begins, device),
        least_cycles=least,
        most_cycles=most,
        result=tensor_layout(placed, segment.result),
        exit=segment.exit,
        answers=segment.answers,
        reads_fifo=reads_fifo(placed, segment.slots),
        answering=segment.last,
        weights=() if outside else chunks,
        biases=reloaded_biases(placed, segment),
        external=chunks if outside else (),
        hit=hit_address(placed, segment) if segment.hardware else None,
    )
