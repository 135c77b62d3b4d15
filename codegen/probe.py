"""The tables of the probe: how far each stage can be run, where the result of the last layer lies then, and which
exits the accelerator takes by itself.

A streaming layer takes rows from the layer before it as they come, through a circular buffer that is much smaller than
the tensor: what lies in front of a streaming layer is never in memory as a whole, and the layers of such a group start
and end together. So a stage can stop only behind a layer that no streaming one follows.

Where a snoop unit decides how a run goes on, layers are run without it: the unit is off, and so is the link of the
layer that it watches, which without a unit would be taken always. So what a layer gives does not depend on what the
units do. What they decide is asked on its own, with all registers but the layer count as in an inference.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.codegen.c_templates import c_templates
from offramp.codegen.firmware import BusWrite, Firmware, Tensor
from offramp.codegen.hardware_exits import hit_address, unit_of
from offramp.codegen.load_images import tensor_layout
from offramp.codegen.lower import Lowered
from offramp.codegen.program import Fields, Key
from offramp.configs.device import Device
from offramp.planner.ir.chain import ExitStage, Segment, Slot, TensorId

LOG_VERSION = 1  # of what static/probe/probe_main.c prints
FILL = 0xA5  # bytes of a result before a run: NO_RESULT of static/probe/offramp_probe.c


@dataclass(frozen=True, eq=False)
class ProbeLayer:
    """A layer of a stage. `limit`: the layer count with which it is the last one. `result`: where its result lies then;
    None if it is never in memory as a whole, because the layer `streams_to` reads its rows as they come."""

    stage: int
    layer: int
    slot: Slot
    limit: int
    result: Tensor | None
    streams_to: Slot | None = None


@dataclass(frozen=True, eq=False)
class ProbeStage:
    """The registers that hold the number of layers of a stage, and their value when all layers run.

    `off`: writes with which the exits of the stage's run decide nothing; `on`: those that undo it. `first`: the first
    stage of the run."""

    name: str
    addresses: tuple[int, ...]
    whole: int
    off: tuple[BusWrite, ...]
    on: tuple[BusWrite, ...]
    first: int


@dataclass(frozen=True, eq=False)
class ProbeExit:
    """An exit that the accelerator takes by itself, at the end of a stage. `hit`: the address of the count of matches;
    `behind`: the number, among the model's, of a layer of the next stage, which runs if the exit is not taken: the
    first one whose result is in no rolling buffer, as a buffer of zeros that shifts stays the same."""

    stage: int
    exit_stage: ExitStage
    hit: int
    behind: int


@dataclass(frozen=True, eq=False)
class Probe:
    """All layers of a chain in the order of execution, and its hardware exits."""

    stages: tuple[ProbeStage, ...]
    layers: tuple[ProbeLayer, ...]
    exits: tuple[ProbeExit, ...]


def probe_of(lowered: Lowered) -> Probe:
    """How the stages of a chain are probed; those of several segments are as many stages here as in the firmware."""
    segments = lowered.placed.requirements.chain.segments
    layers = [layer for index, segment in enumerate(segments) for layer in _layers(lowered, index, segment)]
    stages = tuple(_stage(lowered, index, segment) for index, segment in enumerate(segments))
    return Probe(stages, tuple(layers), tuple(_exits(lowered, layers)))


def _stage(lowered: Lowered, index: int, segment: Segment) -> ProbeStage:
    device = lowered.placed.requirements.device
    program = lowered.programs[index]
    addresses = tuple(device.register_address("LCNT_MAX", quadrant) for quadrant in program.quadrants)
    settings = program.settings[Key(program.quadrants[0], -1, "LCNT_MAX")]
    run = lowered.placed.requirements.chain.run_with(index)
    deciding = [key for number in run for key in _deciding(lowered, number)]
    off = tuple(_write(key, {}, device) for key in deciding)
    on = tuple(_write(key, program.settings[key], device) for key in deciding)
    return ProbeStage(segment.name, addresses, device.registers["LCNT_MAX"].encode(settings), off, on, run[0])


def _deciding(lowered: Lowered, index: int) -> list[Key]:
    """The registers by which the hardware exit of a stage acts: of its unit, and the link of the layer that it watches.
    None if the stage has no such exit."""
    placed, program = lowered.placed, lowered.programs[index]
    segment = placed.requirements.chain.segments[index]
    if not segment.hardware:
        return []
    registers = ((-1, f"{unit_of(placed, segment)}_C1"), (program.positions[-1], "NXTLYR"))
    return [Key(quadrant, *register) for register in registers for quadrant in program.quadrants]


def _write(key: Key, fields: Fields, device: Device) -> BusWrite:
    return BusWrite(key.address(device), device.registers[key.name].encode(fields))


def _exits(lowered: Lowered, layers: Sequence[ProbeLayer]) -> Iterator[ProbeExit]:
    placed = lowered.placed
    for index, segment in enumerate(placed.requirements.chain.segments):
        if not segment.hardware:
            continue
        assert isinstance(segment.stage, ExitStage)
        following = [number for number, layer in enumerate(layers) if layer.stage == index + 1]
        behind = next((number for number in following if not layers[number].slot.into), following[0])
        yield ProbeExit(index, segment.stage, hit_address(placed, segment), behind)


def _layers(lowered: Lowered, index: int, segment: Segment) -> list[ProbeLayer]:
    count = lowered.placed.requirements.device.registers["LCNT_MAX"]
    program = lowered.programs[index]
    whole = program.settings[Key(program.quadrants[0], -1, "LCNT_MAX")]
    layers = []
    slots = segment.slots
    for layer, slot in enumerate(slots):
        following = slots[layer + 1] if layer + 1 < len(slots) else None
        streams_to = following if following and following.layer.streaming else None
        result = None if streams_to else tensor_layout(lowered.placed, slot.writes)
        limit = count.encode({**whole, "last_layer": program.positions[layer]})
        layers.append(ProbeLayer(index, layer, slot, limit, result, streams_to))
    return layers


def checksum(tensor: npt.NDArray[np.int8 | np.int32]) -> int:
    """CRC-32 of a tensor's bytes in the order channel, row, column, the least significant byte of a value first."""
    return zlib.crc32(np.ascontiguousarray(tensor).astype(tensor.dtype.newbyteorder("<")).tobytes())


def render_probe(
    firmware: Firmware,
    probes: Sequence[Probe],
    inputs: Sequence[tuple[int, npt.NDArray[np.int8]]],
    tensors: Sequence[Mapping[TensorId, npt.NDArray[np.int8 | np.int32]]],
    device: Device,
) -> dict[str, str]:
    """The file of the folder `probe` that differs from firmware to firmware: name -> text.

    probes: of each model. inputs: of the models, one at least for each: (model, int8 (channels, rows, columns)).
    tensors: of the integer reference, for each model (its inputs, ...) by tensor.
    """
    wanted = [
        {tensor: _wanted(inputs, model, values) for tensor, values in own.items()} for model, own in enumerate(tensors)
    ]
    values = {
        "firmware": firmware,
        "id": firmware.identifier,
        "probes": probes,
        "inputs": inputs,
        "wanted": wanted,
        "exits": _behind(probes),
        "core_hz": device.clocks["core_hz"],
    }
    text = c_templates().get_template("probe.c.j2").render(values)
    return {f"probe/{firmware.identifier}_probe.c": text}


def _behind(probes: Sequence[Probe]) -> list[tuple[ProbeExit, int]]:
    """The exits of all models, each with the number of the layer behind it among those of all models."""
    found = []
    layers = 0
    for probe in probes:
        found += [(one, layers + one.behind) for one in probe.exits]
        layers += len(probe.layers)
    return found


def _wanted(
    inputs: Sequence[tuple[int, npt.NDArray[np.int8]]], model: int, values: npt.NDArray[np.int8 | np.int32]
) -> list[int]:
    """Checksums of a model's tensor by input; 0 for those of other models."""
    own = iter(values)
    return [checksum(next(own)) if number == model else 0 for number, _ in inputs]
