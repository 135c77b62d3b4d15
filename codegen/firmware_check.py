"""What is wrong with a `Firmware` before it becomes C. The templates check nothing; everything is refused here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from offramp.codegen.firmware import BusWrite, Firmware, InputLayout, InputRun, Logit, StageCode
from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.measure import MEASURES
from offramp.planner.reference.confidence import MAX_CLASSES, MAX_FRACTION_BITS, MAX_TEMPERATURE_Q16

WORD = 1 << 32
MAX_CYCLES = (WORD - 1 - 1000) // 4  # offramp.c waits four times as long, plus 1000 cycles, in 32 bits
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LABEL = re.compile(r'[^"\\\x00-\x1f\x7f?]+')  # no question mark: C99 has trigraphs


def problems(firmware: Firmware, device: Device) -> tuple[str, ...]:
    """Everything that C cannot express or that would not run; empty if there is nothing wrong."""
    if not firmware.stages:
        return ("there is no stage",)
    return (
        *_names(firmware),
        *_writes("init", firmware.init, device),
        *_writes("configure", firmware.configure, device),
        *_transitions(firmware, device),
        *_weights(firmware, device),
        *_biases(firmware, device),
        *_input(firmware.input, device),
        *_fifo(firmware),
        *_stages(firmware, device),
        *_tests(firmware),
    )


def _names(firmware: Firmware) -> Iterator[str]:
    if not _NAME.fullmatch(firmware.name):
        yield f"name `{firmware.name}`: letters, digits, `_`, `.` and `-` are allowed"
    for stage in firmware.stages:
        if not _NAME.fullmatch(stage.name):
            yield f"stage name `{stage.name}`: letters, digits, `_`, `.` and `-` are allowed"
    if firmware.labels and len(firmware.labels) != firmware.classes:
        yield f"{len(firmware.labels)} labels for {firmware.classes} classes"
    for label in firmware.labels:
        if not _LABEL.fullmatch(label):
            yield f"label {label!r}: no quotes, backslashes, question marks or control characters, and not empty"


def _writes(what: str, writes: Iterable[BusWrite], device: Device) -> Iterator[str]:
    for write in writes:
        place = device.locate(write.address)
        if place is None or place.kind != "register":
            yield f"{what}: {write.address:#x} is not a register"
        elif write.value & ~device.registers[place.name].mask:
            yield f"{what}: {write.value:#x} has bits that {place.name} does not have"


def _transitions(firmware: Firmware, device: Device) -> Iterator[str]:
    last = len(firmware.stages) - 1
    needed = {(stage, stage + 1) for stage in range(last)} | {(stage, 0) for stage in range(1, last + 1)}
    given = set(firmware.transitions)
    for before, after in sorted(needed - given):
        yield f"there is no transition from stage {before} to stage {after}"
    for before, after in sorted(given - needed):
        yield f"the transition from stage {before} to stage {after} is never made"
    for (before, after), writes in firmware.transitions.items():
        yield from _writes(f"transition from {before} to {after}", writes, device)


def _weights(firmware: Firmware, device: Device) -> Iterator[str]:
    memory, per_quadrant = device.memories["weights"], device.geometry.processors_per_quadrant
    for chunk in firmware.weights:
        place = device.locate(chunk.address)
        if place is None or place.kind != "weights" or place.index % device.express_stride:
            yield f"weights: {chunk.address:#x} is not a kernel column of a weight memory"
            continue
        end = place.index // device.express_stride + len(chunk.words) * WORD_BYTES // memory.word_bytes
        if not len(chunk.words) or end > device.columns(place.quadrant * per_quadrant + place.unit):
            yield f"weights at {chunk.address:#x}: {len(chunk.words)} words; 1 to the end of the memory are allowed"


def _biases(firmware: Firmware, device: Device) -> Iterator[str]:
    memory = device.memories["bias"]
    for run in firmware.biases:
        place = device.locate(run.address)
        if place is None or place.kind != "bias" or run.address % memory.word_stride:
            yield f"biases: {run.address:#x} is not in a bias memory"
        elif not len(run.values) or place.index + len(run.values) > memory.words:
            yield f"biases at {run.address:#x}: {len(run.values)} bytes; 1 to the end of the memory are allowed"


def input_words(layout: InputLayout) -> int:
    """Words of each run of an input."""
    pixels = layout.shape[1] * layout.shape[2]
    return -(-pixels // WORD_BYTES) if layout.chw else pixels


def _input(layout: InputLayout, device: Device) -> Iterator[str]:
    given = sorted(channel for run in layout.runs for channel in run.channels if channel >= 0)
    if given != list(range(layout.shape[0])) or min(layout.shape) < 1:
        yield f"input {layout.shape}: runs hold the channels {given}; each must occur once"
    words, channels = input_words(layout), 1 if layout.chw else WORD_BYTES
    for run in layout.runs:
        if len(run.channels) != channels:
            yield f"input run at {run.address:#x}: {len(run.channels)} channels; 1 (CHW) or 4 (HWC)"
        if layout.fifo:
            yield from _port(run, device)
            continue
        first, last = device.locate(run.address), device.locate(run.address + (words - 1) * run.step)
        inside = first and last and first.kind == "data" and (first.quadrant, first.unit) == (last.quadrant, last.unit)
        step_fits = run.step == WORD_BYTES if layout.chw else run.step % WORD_BYTES == 0 and run.step >= WORD_BYTES
        if not inside or run.address % WORD_BYTES or not step_fits:
            yield f"input run at {run.address:#x}, step {run.step}, {words} words: not within one data memory instance"


def _port(run: InputRun, device: Device) -> Iterator[str]:
    ports = [name for name in device.registers if name.startswith("FIFO_DATA")]
    places = {
        (device.register_address(name), 0, device.registers["FIFO_STAT"].encode({"full": 1 << port}))
        for port, name in enumerate(ports)
    }
    if (run.address, run.step, run.full) not in places:
        found = f"step {run.step}, full {run.full:#x}"
        yield f"input run at {run.address:#x}, {found}: not a FIFO port, its bit of FIFO_STAT and a step of 0"


def _fifo(firmware: Firmware) -> Iterator[str]:
    """The first stage must read the input from where the layout puts it."""
    first, *later = firmware.stages
    if first.reads_fifo != firmware.input.fifo or any(one.reads_fifo and not firmware.input.fifo for one in later):
        readers = [stage.name for stage in firmware.stages if stage.reads_fifo]
        where = "the FIFO" if firmware.input.fifo else "data memory"
        yield f"the input goes to {where}, but these stages read the FIFO: {', '.join(readers) or 'none'}"


def _stages(firmware: Firmware, device: Device) -> Iterator[str]:
    powered = set(firmware.quadrants)
    if not powered or not powered <= set(range(device.geometry.quadrants)):
        yield f"quadrants {sorted(powered)}: some of 0..{device.geometry.quadrants - 1} are expected"
    for index, stage in enumerate(firmware.stages):
        what = f"stage {stage.name}"
        yield from _writes(what, stage.start, device)
        if not stage.quadrants or not set(stage.quadrants) <= powered:
            yield f"{what}: quadrants {list(stage.quadrants)}; some of the powered {sorted(powered)} are expected"
        if not 0 < stage.cycles <= MAX_CYCLES:
            yield f"{what}: {stage.cycles} cycles; 1..{MAX_CYCLES} are allowed"
        if len(stage.logits) != firmware.classes or not 2 <= len(stage.logits) <= MAX_CLASSES:
            yield f"{what}: {len(stage.logits)} logits; all stages need the same number, 2..{MAX_CLASSES}"
        yield from (problem for logit in stage.logits for problem in _logit(what, logit, device))
        yield from _exit(stage, index == len(firmware.stages) - 1)


def _logit(what: str, logit: Logit, device: Device) -> Iterator[str]:
    place = device.locate(logit.address)
    if place is None or place.kind != "data" or logit.address % WORD_BYTES:
        yield f"{what}: logit at {logit.address:#x} is not a word of the data memory"
    if not ((logit.width == 32 and logit.lane == 0) or (logit.width == 8 and 0 <= logit.lane < WORD_BYTES)):
        yield f"{what}: logit of {logit.width} bits in lane {logit.lane}; 32 in lane 0 or 8 in 0..3 are allowed"


def _exit(stage: StageCode, last: bool) -> Iterator[str]:
    rule = stage.exit
    if rule.measure not in MEASURES:
        yield f"stage {stage.name}: measure `{rule.measure}`; one of {', '.join(MEASURES)} is expected"
    if (rule.threshold is None) != last:
        yield f"stage {stage.name}: threshold {rule.threshold}; every stage but the last needs one"
    if rule.threshold is not None and not 0 <= rule.threshold < WORD:
        yield f"stage {stage.name}: threshold {rule.threshold} does not fit 32 bits"
    if not 0 <= rule.fraction_bits <= MAX_FRACTION_BITS:
        yield f"stage {stage.name}: {rule.fraction_bits} fraction bits; 0..{MAX_FRACTION_BITS} are allowed"
    if not 0 < rule.temperature_q16 <= MAX_TEMPERATURE_Q16:
        yield f"stage {stage.name}: temperature {rule.temperature_q16}; 1..{MAX_TEMPERATURE_Q16} are allowed"


def _tests(firmware: Firmware) -> Iterator[str]:
    for number, test in enumerate(firmware.tests):
        if test.image.shape != firmware.input.shape or test.image.dtype.name != "int8":
            yield f"known answer {number}: image {test.image.dtype} {test.image.shape}; int8 {firmware.input.shape}"
        if not 0 <= test.stage < len(firmware.stages):
            yield f"known answer {number}: stage {test.stage}; there are {len(firmware.stages)}"
        if len(test.logits) != firmware.classes:
            yield f"known answer {number}: {len(test.logits)} logits for {firmware.classes} classes"
