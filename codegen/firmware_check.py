"""What is wrong with a `Firmware` before it becomes C. The templates check nothing; everything is refused here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from offramp.codegen.firmware import (
    DIGEST_BYTES,
    BiasRun,
    BusWrite,
    Chunk,
    Firmware,
    Guard,
    InputLayout,
    InputRun,
    Model,
    StageCode,
    Tensor,
)
from offramp.configs.device import Device, Place
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.measure import HARDWARE, MEASURES
from offramp.planner.reference.confidence import MAX_CLASSES, MAX_FRACTION_BITS, MAX_TEMPERATURE_Q16
from offramp.planner.spec.keys import LABEL

WORD = 1 << 32
OTHER_RAM = 1 << 13  # bytes of the core's memory for the stack and what else the demonstrations hold
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def problems(firmware: Firmware, device: Device) -> tuple[str, ...]:
    """Everything that C cannot express or that would not run; empty if there is nothing wrong."""
    if not firmware.models or not all(model.stages for model in firmware.models):
        return ("there is no stage",)
    return (
        *_whole(firmware, device),
        *_weights(firmware.weights, device),
        *_biases(firmware.biases, device),
        *(problem for model in firmware.models for problem in _model(model, firmware, device)),
        *_tests(firmware),
    )


def _whole(firmware: Firmware, device: Device) -> Iterator[str]:
    yield from _name("name", firmware.name)
    yield from _writes("init", firmware.init, device)
    yield from _writes("readable", firmware.readable, device)
    yield from _guards("guards", firmware.guards, device)
    stated = Counter(write.address for model in firmware.models for write in model.stages[0].registers)
    if shared := [f"{one.address:#x}" for model in firmware.models for one in model.kept if stated[one.address] > 1]:
        yield f"registers {', '.join(shared[:4])}: several models state them, and one would write them only once"
    if not firmware.quadrants or not set(firmware.quadrants) <= set(range(device.geometry.quadrants)):
        yield f"quadrants {list(firmware.quadrants)}: some of 0..{device.geometry.quadrants - 1} are expected"
    if len(firmware.digest) != DIGEST_BYTES:
        yield f"digest of {len(firmware.digest)} bytes; {DIGEST_BYTES} are expected"
    needed = max(stage.result.bytes for stage in firmware.stages) + max(map(_input_bytes, firmware.models))
    if needed > device.core["sram_bytes"] - OTHER_RAM:
        found = f"the largest result and the largest input take {needed:,} bytes"
        yield f"{found}; the core has {device.core['sram_bytes']:,}, and {OTHER_RAM:,} of them are for all else"
    if len({re.sub("[^A-Z0-9]", "_", model.name.upper()) for model in firmware.models}) != len(firmware.models):
        found = f"models {', '.join(model.name for model in firmware.models)}"
        yield f"{found}: each needs a name of its own, where `-` and `.` count as `_` and a as A"


def _input_bytes(model: Model) -> int:
    channels, rows, columns = model.input.shape
    return channels * rows * columns


def _name(what: str, name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"{what} `{name}`: letters, digits, `_`, `.` and `-` are allowed"


def _register(address: int, device: Device) -> Place | None:
    place = device.locate(address)
    return place if place and place.kind == "register" else None


def _writes(what: str, writes: Iterable[BusWrite], device: Device) -> Iterator[str]:
    for write in writes:
        place = _register(write.address, device)
        if place is None:
            yield f"{what}: {write.address:#x} is not a register"
        elif write.value & ~device.registers[place.name].mask:
            yield f"{what}: {write.value:#x} has bits that {place.name} does not have"


def _guards(what: str, guards: Iterable[Guard], device: Device) -> Iterator[str]:
    for guard in guards:
        place = _register(guard.address, device)
        if place is None:
            yield f"{what}: {guard.address:#x} is not a register"
        elif guard.mask & ~device.registers[place.name].mask or guard.value & ~guard.mask:
            yield f"{what}: {guard.value:#x} under {guard.mask:#x} has bits that {place.name} or the mask does not have"


def _weights(chunks: Iterable[Chunk], device: Device) -> Iterator[str]:
    for chunk in chunks:
        place = device.locate(chunk.address)
        if place is None or place.kind != "weights" or place.index % device.express_stride:
            yield f"weights: {chunk.address:#x} is not a kernel column of a weight memory"
        else:
            yield from _chunk(chunk, place, device)


def _chunk(chunk: Chunk, place: Place, device: Device) -> Iterator[str]:
    memory = device.memories["weights"]
    processor = place.quadrant * device.geometry.processors_per_quadrant + place.unit
    start = place.index // device.express_stride
    what = f"weights at {chunk.address:#x}"
    if not chunk.columns or start + chunk.columns > device.columns(processor):
        yield f"{what}: {chunk.columns} columns; 1 to the end of the memory are allowed"
    words = -(-chunk.columns * memory.word_bytes // WORD_BYTES)
    if len(chunk.words) != words:
        yield f"{what}: {len(chunk.words)} words; {chunk.columns} columns are {words}"
    if chunk.plain != device.weight_address(processor) + start * memory.word_stride:
        yield f"{what}: {chunk.plain:#x} is another column"


def _biases(runs: Iterable[BiasRun], device: Device) -> Iterator[str]:
    memory = device.memories["bias"]
    for run in runs:
        place = device.locate(run.address)
        if place is None or place.kind != "bias" or run.address % memory.word_stride:
            yield f"biases: {run.address:#x} is not in a bias memory"
        elif not len(run.values) or place.index + len(run.values) > memory.words:
            yield f"biases at {run.address:#x}: {len(run.values)} bytes; 1 to the end of the memory are allowed"


def _model(model: Model, firmware: Firmware, device: Device) -> Iterator[str]:
    yield from _name("model name", model.name)
    for label in model.labels:
        if not LABEL.fullmatch(label):
            yield f"label {label!r}: no quotes, backslashes, question marks or control characters, and not empty"
    yield from _input(model.input, device)
    yield from _buffers(model, device)
    yield from _fifo(model)
    yield from _switches(model)
    if model.stages[0].external:
        yield f"stage {model.stages[0].name}: weights outside flash; the first stage of a model has none"
    yield from _weights(model.weights, device)
    yield from _biases(model.biases, device)
    for index, stage in enumerate(model.stages):
        yield from _stage(stage, firmware, device)
        yield from _exit(stage, model, last=index == len(model.stages) - 1)


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
        step_fits = run.step == WORD_BYTES if layout.chw else run.step % WORD_BYTES == 0 and run.step >= WORD_BYTES
        if not _in_one_instance(run.address, (words - 1) * run.step, device) or not step_fits:
            yield f"input run at {run.address:#x}, step {run.step}, {words} words: not within one data memory instance"


def _buffers(model: Model, device: Device) -> Iterator[str]:
    for run in model.buffers:
        if run.words < 1 or not _in_one_instance(run.address, (run.words - 1) * WORD_BYTES, device):
            yield f"rolling buffer at {run.address:#x}, {run.words} words: not within one data memory instance"


def _in_one_instance(address: int, length: int, device: Device) -> bool:
    """Whether a word of data memory and the one `length` bytes further are in the same instance."""
    first, last = device.locate(address), device.locate(address + length)
    inside = first and last and first.kind == "data" and (first.quadrant, first.unit) == (last.quadrant, last.unit)
    return bool(inside) and not address % WORD_BYTES


def _port(run: InputRun, device: Device) -> Iterator[str]:
    ports = [name for name in device.registers if name.startswith("FIFO_DATA")]
    places = {
        (device.register_address(name), 0, device.registers["FIFO_STAT"].encode({"full": 1 << port}))
        for port, name in enumerate(ports)
    }
    if (run.address, run.step, run.full) not in places:
        found = f"step {run.step}, full {run.full:#x}"
        yield f"input run at {run.address:#x}, {found}: not a FIFO port, its bit of FIFO_STAT and a step of 0"


def _fifo(model: Model) -> Iterator[str]:
    """The first stage must read the input from where the layout puts it."""
    first, *later = model.stages
    if first.reads_fifo != model.input.fifo or any(one.reads_fifo and not model.input.fifo for one in later):
        readers = [stage.name for stage in model.stages if stage.reads_fifo]
        where = "the FIFO" if model.input.fifo else "data memory"
        yield f"the input goes to {where}, but these stages read the FIFO: {', '.join(readers) or 'none'}"


def _switches(model: Model) -> Iterator[str]:
    """All stages state the same registers, and the writes between two stages lead from one state to the other."""
    states = [{write.address: write.value for write in stage.registers} for stage in model.stages]
    for stage, state in zip(model.stages, states, strict=True):
        given = [write.address for write in stage.registers]
        expected = [*sorted(write.address for write in model.written), *sorted(write.address for write in model.kept)]
        if not given or given != expected or len(given) != len(state):
            yield f"stage {stage.name}: its registers are not those of the first stage in ascending order"
        if any(state.get(write.address) != write.value for write in model.kept):
            yield f"stage {stage.name}: a register that is written once does not hold what it does in the first stage"
    last = len(states) - 1
    for index, stage in enumerate(model.stages):
        after = states[min(index + 1, last)]
        for what, writes, goal in (("advance", stage.advance, after), ("restore", stage.restore, states[0])):
            reached = states[index] | {write.address: write.value for write in writes}
            if reached != goal:
                yield f"stage {stage.name}: {what} does not lead to the registers of that stage"


def _stage(stage: StageCode, firmware: Firmware, device: Device) -> Iterator[str]:
    what = f"stage {stage.name}"
    yield from _name("stage name", stage.name)
    for writes in (stage.registers, stage.advance, stage.restore, stage.start, stage.stop):
        yield from _writes(what, writes, device)
    yield from _guards(what, stage.control, device)
    if not stage.quadrants or not set(stage.quadrants) <= set(firmware.quadrants):
        expected = f"some of the powered {list(firmware.quadrants)} are expected"
        yield f"{what}: quadrants {list(stage.quadrants)}; {expected}"
    if not 0 <= stage.least_cycles <= stage.most_cycles < WORD:
        yield f"{what}: {stage.least_cycles} to {stage.most_cycles} cycles; 0 to {WORD - 1} in ascending order"
    yield from _result(what, stage.result, device)
    yield from _weights((*stage.weights, *stage.external), device)
    yield from _biases(stage.biases, device)


def _result(what: str, result: Tensor, device: Device) -> Iterator[str]:
    if result.bits not in (8, 32) or len(result.places) != result.shape[0] or min(result.shape) < 1:
        yield f"{what}: result {result.shape} of {result.bits} bits in {len(result.places)} places"
    length = (result.shape[1] * result.shape[2] - 1) * result.step
    for place in result.places:
        lane = place % WORD_BYTES
        if not _in_one_instance(place - lane, length, device) or result.step % WORD_BYTES or result.step < WORD_BYTES:
            yield f"{what}: a result at {place:#x}, step {result.step}, is not in words of one data memory instance"
        elif lane and result.bits == 32:
            yield f"{what}: a result of 32 bits in lane {lane}"


def _exit(stage: StageCode, model: Model, last: bool) -> Iterator[str]:
    rule, what = stage.exit, f"stage {stage.name}"
    if stage.answering:
        yield from _answers(stage, model, last)
    if rule is None:
        if stage.answering and not last:
            yield f"{what}: every stage but the last needs a measure"
        return
    if not stage.answering:
        yield f"{what}: a measure, but another segment goes on from its result"
    if not 2 <= stage.result.shape[0] <= MAX_CLASSES or stage.result.shape[1:] != (1, 1):
        yield f"{what}: a result {stage.result.shape}; logits of 2..{MAX_CLASSES} classes, a single pixel, are expected"
    if rule.measure not in (*MEASURES, *HARDWARE):
        yield f"{what}: measure `{rule.measure}`; one of {', '.join(MEASURES)} is expected"
    if rule.hardware != (stage.hit is not None):
        yield f"{what}: measure `{rule.measure}`; a hardware exit, and no other, has that and a count of matches"
    given = [one for one in (rule.threshold, *rule.by_class) if one is not None]
    if bool(given) == last or (rule.threshold is not None and rule.by_class):
        yield f"{what}: threshold {rule.threshold}; every stage but the last needs one, or one for each class"
    for one in given:
        if not 0 <= one < WORD:
            yield f"{what}: threshold {one} does not fit 32 bits"
    if not 0 <= rule.fraction_bits <= MAX_FRACTION_BITS:
        yield f"{what}: {rule.fraction_bits} fraction bits; 0..{MAX_FRACTION_BITS} are allowed"
    if not 0 < rule.temperature_q16 <= MAX_TEMPERATURE_Q16:
        yield f"{what}: temperature {rule.temperature_q16}; 1..{MAX_TEMPERATURE_Q16} are allowed"


def _answers(stage: StageCode, model: Model, last: bool) -> Iterator[str]:
    """What classes mean."""
    what = f"stage {stage.name}"
    classes = stage.exit.classes(stage.result.values) if stage.exit else 1
    if not stage.answers and classes != model.answers:
        yield f"{what}: {classes} classes, which are the answers, of which there are {model.answers}"
    if stage.answers and len(stage.answers) != classes:
        yield f"{what}: answers of {len(stage.answers)} classes; there are {classes}"
    if stage.exit and stage.exit.by_class and len(stage.exit.by_class) != classes:
        yield f"{what}: thresholds of {len(stage.exit.by_class)} classes; there are {classes}"
    for answer in stage.answers:
        if answer >= model.answers or (answer < 0 and last):
            yield f"{what}: answer {answer}; there are {model.answers}, and in the last stage every class has one"


def _tests(firmware: Firmware) -> Iterator[str]:
    for number, test in enumerate(firmware.tests):
        what = f"known answer {number}"
        if not 0 <= test.model < len(firmware.models):
            yield f"{what}: model {test.model}; there are {len(firmware.models)}"
            continue
        model = firmware.models[test.model]
        if test.image.shape != model.input.shape or test.image.dtype.name != "int8":
            yield f"{what}: image {test.image.dtype} {test.image.shape}; int8 {model.input.shape}"
        if not 0 <= test.stage < len(model.stages):
            yield f"{what}: stage {test.stage}; there are {len(model.stages)}"
        elif not model.stages[test.stage].answering:
            yield f"{what}: stage {test.stage} gives no answer; another segment goes on from its result"
        elif len(test.values) != model.stages[test.stage].result.values:
            yield f"{what}: {len(test.values)} values; {model.stages[test.stage].result.values} are expected"
        elif not 0 <= test.class_index < model.stages[test.stage].result.values:
            yield f"{what}: class {test.class_index}; there are {model.stages[test.stage].result.values}"
        if not 0 <= test.answer < model.answers:
            yield f"{what}: answer {test.answer}; there are {model.answers}"
