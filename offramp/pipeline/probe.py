"""Which layer fails, and which hardware exit: the firmware that runs layer after layer, and what it printed against the
integer reference."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from offramp.codegen.firmware import Firmware
from offramp.codegen.probe import FILL, Probe, ProbeExit, ProbeLayer, checksum, probe_of, render_probe
from offramp.configs.errors import CheckFailed, Diagnostic, InputError, Where
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.images import PlannedImage
from offramp.pipeline.planning import Planned
from offramp.pipeline.probe_log import LayerLine, ProbeLog
from offramp.planner.image_plan import image_digest
from offramp.planner.ir.chain import Chain, TensorId
from offramp.planner.reference.exits import leaving, stage_classes, stage_confidence
from offramp.planner.reference.layers import Tensor
from offramp.planner.reference.profile import chain_tensors
from offramp.simulator.board.bus import Bus
from offramp.simulator.board.errors import BoardError
from offramp.simulator.board.run import run_program
from offramp.simulator.board.session import LIMIT
from offramp.simulator.clock import Clock

Images = Sequence[npt.NDArray[np.int8]]
Outcome = Literal["equal", "different", "error", "not visible"]
Decision = Literal["leaves", "goes on", "left before"]  # the last: at an earlier exit of the run


@dataclass(frozen=True)
class Place:
    """The first value of a result that differs, and how many do, in how many channels."""

    channel: int
    row: int
    column: int
    found: int
    expected: int
    values: int
    channels: int


@dataclass(frozen=True, eq=False)
class Probed:
    """What became of a layer of a model with one input. `number`: of the layer among those of all models; `place`:
    where the values of a result that differs were printed; `error`: what the runtime said."""

    model: int
    number: int
    layer: ProbeLayer
    input: int
    outcome: Outcome
    error: str = ""
    place: Place | None = None


@dataclass(frozen=True, eq=False)
class Decided:
    """What a hardware exit of a model did with an input: `matches` that it counted, and whether a layer behind it has
    run (`goes_on`; None if its result would be the same anyway); `expected`: what it should do; `error`: what the
    runtime said."""

    model: int
    exit: ProbeExit
    input: int
    expected: Decision
    matches: int
    goes_on: bool | None
    error: str = ""

    @property
    def right(self) -> bool:
        """Whether it did what it should."""
        ran = self.goes_on in (None, self.expected == "goes on")
        return not self.error and ran and (self.matches > 0) == (self.expected == "leaves")


@dataclass(frozen=True, eq=False)
class Findings:
    """Every layer with every input, in the order of execution; the same of every hardware exit."""

    layers: tuple[Probed, ...]
    exits: tuple[Decided, ...]


def probe_files(image: PlannedImage, firmware: Firmware) -> dict[str, str]:
    """The probe's part of a firmware folder, for the firmware's samples."""
    inputs = [
        (model, data)
        for model, made in enumerate(image.models)
        for data in [test.image for test in firmware.tests if test.model == model] or [pattern(made.chain)]
    ]
    own = [[data for number, data in inputs if number == model] for model in range(len(image.models))]
    tensors = [chain_tensors(made.chain, np.stack(data)) for made, data in zip(image.models, own, strict=True)]
    return render_probe(firmware, [probe_of(made.lowered) for made in image.models], inputs, tensors, image.device)


def pattern(chain: Chain) -> npt.NDArray[np.int8]:
    """An input for a chain without test data: bytes without an order, int8 (channels, rows, columns)."""
    shape = chain.networks[chain.first_reader.network].input_shape
    numbers = np.arange(shape.channels * shape.pixels, dtype=np.uint32) * np.uint32(2654435761)
    return (numbers >> np.uint32(24)).astype(np.uint8).view(np.int8).reshape(shape.channels, shape.rows, shape.cols)


def run_on_board(elf: Path, image: PlannedImage, accelerator: Bus, clock: Clock) -> str:
    """Run a probe that `compile_probe` has compiled on the virtual board, and return what it printed.

    clock: the accelerator's. CheckFailed if the program does not get to its end.
    """
    runs = sum((len(made.chain.slots) + len(made.chain.segments)) * len(made.chain.segments) for made in image.models)
    try:
        return run_program(elf, accelerator, image.device, limit=LIMIT * runs, clock=clock)[1]
    except BoardError as error:
        printed = error.console.strip().splitlines()
        raise CheckFailed(f"virtual board: {error.ending.value}: {error.detail}{_behind(printed)}") from error


def _behind(printed: Sequence[str]) -> str:
    return f", after it had printed `{printed[-1]}`" if printed else ""


def judge(log: ProbeLog, image: PlannedImage) -> Findings:
    """What a log says of layers and hardware exits. CheckFailed if the firmware did not open its image.

    InputError if the log is of another image than the plan's, or of inputs that are not known.
    """
    where = Where(log.source)
    digest = image_digest(image.plan)[: len(log.digest)]
    if log.digest != digest:
        message = f"is of another build: the image has the digest {log.digest}, that of this plan is {digest}"
        raise InputError(Diagnostic(where, message))
    if log.error:
        raise CheckFailed(Diagnostic(where, f"the firmware did not open its image: {log.error}"))
    probes = [probe_of(made.lowered) for made in image.models]
    layers = _numbered(probes)
    if log.layers != len(layers):
        raise InputError(Diagnostic(where, f"has {log.layers} layers; the plan has {len(layers)}"))
    if [model for model, _ in layers] != [log.model_of(number) for number in range(len(layers))]:
        raise InputError(Diagnostic(where, "has layers of other models than the plan"))
    asked = _asked(log, probes)
    if [(line.number, line.input) for line in log.exits] != asked:
        message = f"has {len(log.exits)} hardware exits and inputs; {len(asked)} of the plan are expected"
        raise InputError(Diagnostic(where, message))
    expected = _expected(log, image)
    found = tuple(_judge_line(line, *layers[line.number], expected, log) for line in log.lines)
    return Findings(found, _judge_exits(log, probes, expected))


def layers_of(image: PlannedImage) -> list[tuple[int, ProbeLayer]]:
    """The layers of all models, each with its model, by the number that the probe knows them by."""
    return _numbered([probe_of(made.lowered) for made in image.models])


def _numbered(probes: Sequence[Probe]) -> list[tuple[int, ProbeLayer]]:
    return [(model, layer) for model, probe in enumerate(probes) for layer in probe.layers]


def printed_values(log: ProbeLog, image: PlannedImage) -> dict[str, npt.NDArray[np.int32]]:
    """Results whose values are in a log: `layer_L_input_I` int32 (channels, rows, columns)."""
    layers = layers_of(image)
    found = {}
    for number, sample in log.values:
        result = layers[number][1].result
        values = log.tensor(number, sample, result.bits) if result else None
        if result and values is not None and values.size == result.values:
            found[f"layer_{number}_input_{sample}"] = values.astype(np.int32).reshape(result.shape)
    return found


Expected = Mapping[int, Mapping[TensorId, Tensor]]  # by input, what the reference says of it


def _expected(log: ProbeLog, image: PlannedImage) -> Expected:
    """Of the inputs that a log's checksums are of."""
    found: dict[int, Mapping[TensorId, Tensor]] = {}
    for model, made in enumerate(image.models):
        numbers = [number for number, (own, _) in enumerate(log.inputs) if own == model]
        inputs = _inputs(log, made, numbers)
        tensors = chain_tensors(made.chain, np.stack(inputs)) if inputs else {}
        for index, number in enumerate(numbers):
            found[number] = {tensor: values[index] for tensor, values in tensors.items()}
    return found


def _inputs(log: ProbeLog, made: Planned, numbers: Sequence[int]) -> list[npt.NDArray[np.int8]]:
    """The inputs of a model that checksums are of: test images, or the pattern."""
    plan = made.plan
    candidates = [pattern(made.chain)]
    if TEST_DATA in plan.spec.data:
        candidates = [*data_set(plan.spec, made.chain, TEST_DATA).x, *candidates]
    known = {checksum(image): image for image in reversed(candidates)}
    for index in numbers:
        crc = log.inputs[index][1]
        if crc not in known:
            message = f"input {index} has the checksum {crc:08x}, which no test image of the plan has"
            raise InputError(Diagnostic(Where(log.source), message))
    return [known[log.inputs[index][1]] for index in numbers]


def _judge_line(line: LayerLine, model: int, layer: ProbeLayer, expected: Expected, log: ProbeLog) -> Probed:
    if line.error is not None:
        return Probed(model, line.number, layer, line.input, "error", line.error)
    if line.crc is None or layer.result is None:
        return Probed(model, line.number, layer, line.input, "not visible")
    wanted = expected[line.input][layer.slot.writes]
    if line.crc == checksum(wanted):
        return Probed(model, line.number, layer, line.input, "equal")
    found = log.tensor(line.number, line.input, layer.result.bits)
    place = None if found is None or found.size != wanted.size else _first_place(found, wanted)
    return Probed(model, line.number, layer, line.input, "different", place=place)


def _first_place(found: npt.NDArray[np.int64], expected: Tensor) -> Place | None:
    """None if all values are equal: the result was read twice, and differed once."""
    values = found.reshape(expected.shape)
    wrong = np.argwhere(values != expected)
    if not len(wrong):
        return None
    channel, row, column = wrong[0].tolist()
    first = (int(values[channel, row, column]), int(expected[channel, row, column]))
    return Place(channel, row, column, *first, len(wrong), len(np.unique(wrong[:, 0])))


def _asked(log: ProbeLog, probes: Sequence[Probe]) -> list[tuple[int, int]]:
    """The exits that a log should have, by their numbers, each with the inputs of its model."""
    models = [model for model, probe in enumerate(probes) for _ in probe.exits]
    return [
        (number, image)
        for number, model in enumerate(models)
        for image, (own, _) in enumerate(log.inputs)
        if own == model
    ]


def _judge_exits(log: ProbeLog, probes: Sequence[Probe], expected: Expected) -> tuple[Decided, ...]:
    exits = [(model, index) for model, probe in enumerate(probes) for index in range(len(probe.exits))]
    found = []
    for line in log.exits:
        model, index = exits[line.number]
        probe, tensors = probes[model], expected[line.input]
        asked = probe.exits[index]
        behind = probe.layers[asked.behind]
        said = decisions(probe, tensors)
        ran = checksum(tensors[behind.slot.writes])
        goes_on = None if ran == _without(behind, _stage_left(probe, index, said), probe, tensors) else line.crc == ran
        found.append(Decided(model, asked, line.input, said[index], line.matches, goes_on, line.error or ""))
    return tuple(found)


def _stage_left(probe: Probe, index: int, said: Sequence[Decision]) -> int:
    """The stage that a run ends with in which an exit is taken, or an earlier one."""
    asked = probe.exits[index]
    run = [one for one in range(index) if probe.stages[probe.exits[one].stage].first == probe.stages[asked.stage].first]
    return next((probe.exits[one].stage for one in run if said[one] == "leaves"), asked.stage)


def _without(layer: ProbeLayer, stage: int, probe: Probe, tensors: Mapping[TensorId, Tensor]) -> int:
    """The checksum of what lies in the place of a layer's result if the inference ends with an earlier stage: what the
    layers up to there have written, and zeros or what the probe fills it with. Of the input nothing is assumed."""
    assert layer.result is not None
    place = layer.result.byte_addresses()
    found = np.full(len(place), 0 if layer.slot.into else FILL, np.uint8)
    for earlier in probe.layers:
        if earlier.stage > stage or earlier.result is None:
            continue
        _, own, others = np.intersect1d(place, earlier.result.byte_addresses(), return_indices=True)
        found[own] = np.frombuffer(tensors[earlier.slot.writes].tobytes(), np.uint8)[others]
    return zlib.crc32(found.tobytes())


def decisions(probe: Probe, tensors: Mapping[TensorId, Tensor]) -> list[Decision]:
    """What the integer reference says of each hardware exit with an input. Runs before that of the exit go on to it."""
    found: list[Decision] = []
    left: set[int] = set()  # runs, by their first stages
    for asked in probe.exits:
        stage, run = asked.exit_stage, probe.stages[asked.stage].first
        results = tensors[stage.result].reshape(1, -1)
        leaves = leaving(stage, stage_classes(stage, results), stage_confidence(stage, results))[0]
        found.append("left before" if run in left else "leaves" if leaves else "goes on")
        if leaves:
            left.add(run)
    return found


def first_failure(found: Sequence[Probed]) -> Probed | None:
    """Of the first layer that gave an error or a wrong result: the first input, one with a place if there is one."""
    wrong = [one for one in found if one.outcome in ("different", "error")]
    same = [one for one in wrong if one.number == wrong[0].number]
    return next((one for one in same if one.place), same[0]) if same else None


def run_name(model: int, number: int, image: PlannedImage) -> str:
    """The stage, or the segment of one, that the firmware knows by a number."""
    return image.models[model].chain.segments[number].name


def _stage_text(model: int, number: int, image: PlannedImage) -> str:
    several = f"model {image.names[model]}, " if len(image.models) > 1 else ""
    return f"{several}stage {run_name(model, number, image)}"


def exit_text(failure: Decided, image: PlannedImage) -> str:
    """One sentence about a hardware exit that does not do what it should."""
    what = f"{_stage_text(failure.model, failure.exit.stage, image)}, hardware exit, input {failure.input}"
    if failure.error:
        return f"{what}: {failure.error}"
    should = {"leaves": "leave", "goes on": "go on", "left before": "have left at an exit before"}[failure.expected]
    does = {True: ", and the run goes on", False: ", and the run does not go on", None: ""}[failure.goes_on]
    return f"{what}: the count of matches is {failure.matches}{does}; it should {should}"


def failure_text(failure: Probed, image: PlannedImage) -> str:
    """One sentence about a failure."""
    stage = _stage_text(failure.model, failure.layer.stage, image)
    what = f"{stage}, layer {failure.layer.layer} ({failure.layer.slot.name}), input {failure.input}"
    if failure.outcome == "error":
        return f"{what}: {failure.error}"
    if failure.place is None:
        return f"{what}: the result differs from the integer reference; its values are not in the log, or were right"
    place = failure.place
    where = f"channel {place.channel}, row {place.row}, column {place.column}"
    extent = f"{place.values:,} values in {place.channels:,} channels differ"
    return f"{what}: {where} is {place.found}, should be {place.expected} ({extent})"
