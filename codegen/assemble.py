"""A placed chain as the C generator wants it: all tables of the firmware."""

from __future__ import annotations

from collections.abc import Sequence

from offramp.codegen.firmware import BusWrite, Firmware, KnownAnswer, StageCode
from offramp.codegen.load_images import bias_runs, input_layout, tensor_places, weight_chunks
from offramp.codegen.lower import Lowered, reads_fifo
from offramp.codegen.program import RegisterProgram, Switching, start_writes
from offramp.configs.device import Device
from offramp.planner.allocation.budget import stage_cycles
from offramp.planner.allocation.place import Placed
from offramp.planner.ir.chain import ExitStage

# Memory timing that the vendor's generated code sets: write-negative-voltage enable, read margin 3 (UG7456 27-13).
SRAM_TIMING = {"write_negative_enable": 1, "read_margin": 3, "margin_enable": 1}


def assemble(lowered: Lowered, name: str, labels: Sequence[str] = (), tests: Sequence[KnownAnswer] = ()) -> Firmware:
    """Firmware tables of a chain. Every stage has a result here; the last one has no exit rule of its own."""
    placed, programs, states = lowered.placed, lowered.programs, lowered.switching
    device = placed.requirements.device
    used = tuple(sorted({quadrant for program in programs for quadrant in program.quadrants}))
    return Firmware(
        name=name,
        quadrants=used,
        init=init_writes(used, device),
        configure=states.configure(0),
        transitions=transitions(states),
        weights=weight_chunks(placed),
        biases=bias_runs(placed),
        input=input_layout(placed),
        stages=tuple(
            _stage_code(placed, stage, program)
            for stage, program in zip(placed.requirements.chain.exits, programs, strict=True)
        ),
        labels=tuple(labels),
        tests=tuple(tests),
    )


def init_writes(quadrants: Sequence[int], device: Device) -> tuple[BusWrite, ...]:
    """After power-up: memories awake, memory timing, clock on, express loading on."""
    control = device.registers["CTRL"].encode({"clock_enable": 1, "express": 1})
    timing = device.registers["SRAM"].encode(SRAM_TIMING)
    writes = [BusWrite(device.register_address("AON"), 0)]
    for quadrant in quadrants:
        writes.append(BusWrite(device.register_address("CTRL", quadrant), control))
        writes.append(BusWrite(device.register_address("SRAM", quadrant), timing))
    return tuple(writes)


def transitions(states: Switching) -> dict[tuple[int, int], tuple[BusWrite, ...]]:
    """Writes for every switch that can happen: to the next stage, and from any stage back to the first."""
    count = len(states.states)
    pairs = [(stage, stage + 1) for stage in range(count - 1)] + [(stage, 0) for stage in range(1, count)]
    return {pair: states.transition(*pair) for pair in pairs}


def _stage_code(placed: Placed, stage: ExitStage, program: RegisterProgram) -> StageCode:
    device = placed.requirements.device
    return StageCode(
        name=stage.name,
        start=start_writes(program, device),
        quadrants=program.quadrants,
        cycles=stage_cycles(placed, stage).cycles,
        logits=tensor_places(placed, stage.result),
        exit=stage.exit,
        reads_fifo=reads_fifo(placed, stage),
    )
