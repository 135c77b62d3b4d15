"""An image: one struct without pointers, its bytes and the C text of every record in it.

The layout is `codegen/static/include/offramp_image.h`. Records refer to each other by byte offsets from the header, so
that one CRC-32 over constant bytes covers everything.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from offramp.codegen.external import chunk_words, external_places
from offramp.codegen.firmware import BiasRun, Chunk, Firmware, InputLayout, InputRun, Model, StageCode
from offramp.codegen.image_tables import (
    Line,
    Member,
    Span,
    Tables,
    join,
    listed,
    number,
    number_field,
    register_runs,
    row,
    span_field,
    word,
    word_field,
    words_field,
)
from offramp.configs.clock_tree import ClockSetting
from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.chain import ExitRule
from offramp.planner.ir.measure import Measure

MAGIC, FORMAT = 0x3152464F, 1  # "OFR1"
MEASURE_CODES: Mapping[Measure, int] = {"margin": 0, "max_probability": 1, "entropy": 2, "largest_logit": 3, "gate": 4}
NO_MEASURE = 0xFFFFFFFF
NO_ANSWER = 0xFFFFFFFF  # in the image; in our tables it is -1
BY_CLASS = 0xFFFFFFFE  # in the place of a stage's threshold
INPUT_CHW, INPUT_FIFO, STAGE_READS_FIFO, STAGE_LAST, STAGE_HARDWARE = 1, 2, 1, 2, 4
HEADER_BYTES, MODEL_BYTES, STAGE_BYTES = 124, 76, 160
BYTES_BYTES = 12
CRC_FROM = 8  # the checksum covers everything from this byte on


@dataclass(frozen=True)
class Image:
    """The members of the struct in the order of their offsets, and all bytes."""

    members: tuple[Member, ...]
    data: bytes


def lay_out(firmware: Firmware, device: Device) -> Image:
    """The image of a firmware that `firmware_check.problems` has nothing against."""
    stages_at = HEADER_BYTES + MODEL_BYTES * len(firmware.models)
    tables = Tables(stages_at + STAGE_BYTES * len(firmware.stages), device)
    loaded = _byte_runs(firmware, tables)
    biases = Span(loaded.at if firmware.biases else 0, len(firmware.biases))
    models = _models(firmware, loaded.at + BYTES_BYTES * len(firmware.biases), tables)
    last = [one is model.stages[-1] for model in firmware.models for one in model.stages]
    places = external_places(firmware)
    stages = [
        (one.name, _stage(one, index, last[index], places[index], tables)) for index, one in enumerate(firmware.stages)
    ]
    spans = {
        "init": tables.writes("init", firmware.init),
        "readable": tables.writes("readable", firmware.readable),
        "guards": tables.guards("guards", firmware.guards),
        "contents.weights": _weights("", firmware.weights, tables),
        "contents.loaded": loaded,
        "contents.biases": biases,
        "models": Span(HEADER_BYTES, len(models)),
        "stages": Span(stages_at, len(stages)),
    }
    rest = (
        Member("models", "offramp_model_t", len(models), HEADER_BYTES, records=tuple(models)),
        Member("stages", "offramp_stage_t", len(stages), stages_at, records=tuple(stages)),
        *tables.members,
    )
    body = b"".join(member.data for member in rest)
    crc = zlib.crc32((join(_header(firmware, device, tables.end, spans, 0)) + body)[CRC_FROM:])
    header = _header(firmware, device, tables.end, spans, crc)
    members = (Member("header", "offramp_header_t", 1, 0, records=(("", header),)), *rest)
    return Image(members, join(header) + body)


def _header(firmware: Firmware, device: Device, size: int, spans: Mapping[str, Span], crc: int) -> tuple[Line, ...]:
    return (
        word_field("magic", MAGIC),
        word_field("crc", crc),
        number_field("bytes", size),
        number_field("format", FORMAT),
        words_field("digest", np.frombuffer(firmware.digest, "<u4").tolist()),
        word_field("quadrants", quadrant_mask(firmware.quadrants)),
        word_field("all_quadrants", quadrant_mask(range(device.geometry.quadrants))),
        number_field("clock_source", firmware.clock.source),
        number_field("clock_divider", clock_dividers(firmware.clock)),
        word_field("done", device.registers["CTRL"].encode({"done": 1})),
        word_field("fifo_stat", device.register_address("FIFO_STAT")),
        number_field("column_bytes", device.memories["weights"].word_bytes),
        *(span_field(name, span) for name, span in spans.items()),
    )


def _models(firmware: Firmware, first_buffer: int, tables: Tables) -> list[tuple[str, tuple[Line, ...]]]:
    found = []
    first_stage = 0
    for index, model in enumerate(firmware.models):
        own = Span(first_buffer if model.buffers else 0, len(model.buffers))
        found.append((model.name, _model(model, index, first_stage, own, tables)))
        first_stage += len(model.stages)
        first_buffer += BYTES_BYTES * len(model.buffers)
    return found


def _model(model: Model, index: int, first_stage: int, buffers: Span, tables: Tables) -> tuple[Line, ...]:
    layout = model.input
    runs = [_input_run(layout, run) for run in layout.runs]
    biases = _biases(f"_entry_{index}", model.biases, tables)
    return (
        span_field("registers", tables.runs(f"registers_{index}", model.written, model.kept)),
        number_field("first_stage", first_stage),
        number_field("stages", len(model.stages)),
        number_field("input.channels", layout.shape[0]),
        number_field("input.rows", layout.shape[1]),
        number_field("input.columns", layout.shape[2]),
        number_field("input.flags", INPUT_CHW * layout.chw | INPUT_FIFO * layout.fifo),
        span_field("input.runs", tables.add(f"input_{index}", "offramp_input_run_t", len(runs), runs)),
        span_field("buffers", buffers),
        span_field("contents.weights", _weights(f"_entry_{index}", model.weights, tables)),
        span_field("contents.loaded", biases),
        span_field("contents.biases", biases),
        number_field("entered", len(register_runs(model.written))),
    )


def _input_run(layout: InputLayout, run: InputRun) -> Line:
    """Bytes without a channel name one of the others: what is read for them is masked."""
    channels = run.channels * (WORD_BYTES if layout.chw else 1)
    mask = sum(0xFF << 8 * lane for lane, channel in enumerate(channels) if channel >= 0)
    given = [channel if channel >= 0 else max(channels) for channel in channels]
    texts = (word(run.address), number(run.step), number(run.full), word(mask), listed(map(number, given)))
    return row(texts, (run.address, run.step, run.full, mask, *given))


def _stage(stage: StageCode, index: int, last: bool, outside: int, tables: Tables) -> tuple[Line, ...]:
    """`outside`: the byte of the file outside flash that its words there begin with."""
    words = chunk_words(stage.external)
    rule, result = stage.exit, stage.result
    biases = _biases(f"_{index}", stage.biases, tables)
    return (
        span_field("values", tables.values(f"values_{index}", stage.registers)),
        span_field("advance", tables.writes(f"advance_{index}", stage.advance)),
        span_field("restore", tables.writes(f"restore_{index}", stage.restore)),
        span_field("start", tables.writes(f"start_{index}", stage.start)),
        span_field("stop", tables.writes(f"stop_{index}", stage.stop)),
        span_field("control", tables.guards(f"control_{index}", stage.control)),
        span_field("contents.weights", _weights(f"_{index}", stage.weights, tables)),
        span_field("contents.loaded", biases),
        span_field("contents.biases", biases),
        word_field("done_address", tables.device.register_address("CTRL", stage.quadrants[0])),
        number_field("least_cycles", stage.least_cycles),
        number_field("most_cycles", stage.most_cycles),
        number_field("flags", _flags(stage, last)),
        word_field("measure", MEASURE_CODES[rule.measure] if rule else NO_MEASURE, rule.measure if rule else "none"),
        number_field("threshold", _threshold(rule)),
        number_field("fraction_bits", rule.fraction_bits if rule else 0),
        number_field("temperature_q16", _temperature(stage)),
        span_field("classes", _classes(stage, index, tables)),
        number_field("result.channels", result.shape[0]),
        number_field("result.rows", result.shape[1]),
        number_field("result.columns", result.shape[2]),
        number_field("result.bits", result.bits),
        number_field("result.step", result.step),
        span_field("result.places", tables.words(f"places_{index}", result.places)),
        span_field("outside.chunks", _chunks(f"outside_{index}", stage.external, [0] * len(stage.external), tables)),
        number_field("outside.at", outside),
        number_field("outside.words", len(words)),
        word_field("outside.crc", zlib.crc32(words.tobytes())),
    )


def _flags(stage: StageCode, last: bool) -> int:
    return STAGE_READS_FIFO * stage.reads_fifo | STAGE_LAST * last | STAGE_HARDWARE * (stage.hit is not None)


def _temperature(stage: StageCode) -> int:
    """Of the softmax; of a hardware exit, which has none, the address of its count."""
    if stage.hit is not None:
        return stage.hit
    return stage.exit.temperature_q16 if stage.exit else 0


def _threshold(rule: ExitRule | None) -> int:
    if rule is None:
        return 0
    return BY_CLASS if rule.by_class else rule.threshold or 0


def _classes(stage: StageCode, index: int, tables: Tables) -> Span:
    """What classes mean, where they are not the answers themselves or have thresholds of their own."""
    rule = stage.exit
    if not stage.answers and not (rule and rule.by_class):
        return Span(0, 0)
    answers = stage.answers or range(stage.result.values)
    same = (rule.threshold or 0) if rule else 0
    thresholds = (rule.by_class if rule else ()) or [same] * len(answers)
    lines = [
        row((word(NO_ANSWER) if answer < 0 else number(answer), number(limit)), (answer % (1 << 32), limit))
        for answer, limit in zip(answers, thresholds, strict=True)
    ]
    return tables.add(f"classes_{index}", "offramp_class_t", len(lines), lines)


def _weights(suffix: str, chunks: Sequence[Chunk], tables: Tables) -> Span:
    """The words of some chunks in a table of their own, before the chunks."""
    words = chunk_words(chunks).tolist()
    first = tables.words(f"weight_words{suffix}", words).at
    sizes = [0, *(WORD_BYTES * len(chunk.words) for chunk in chunks[:-1])]
    return _chunks(f"weights{suffix}", chunks, [first + at for at in accumulate(sizes)], tables)


def _chunks(name: str, chunks: Sequence[Chunk], places: Iterable[int], tables: Tables) -> Span:
    """A table of chunks, whose words lie at these places; 0: not in the image."""
    lines = []
    for chunk, at in zip(chunks, places, strict=False):
        span = Span(at, len(chunk.words))
        texts = (word(chunk.address), word(chunk.plain), number(chunk.columns), listed(map(number, span)))
        lines.append(row(texts, (chunk.address, chunk.plain, chunk.columns, *span)))
    return tables.add(name, "offramp_chunk_t", len(lines), lines)


def _byte_runs(firmware: Firmware, tables: Tables) -> Span:
    """Biases, their bytes in a table of their own; and zeros for the rolling buffers of all models, all of them from
    the same table."""
    lines = _bias_lines("", firmware.biases, tables)
    buffers = [run for model in firmware.models for run in model.buffers]
    zeros = tables.bytes("zeros", bytes(max((run.words for run in buffers), default=0))).at
    lines += [_run_of_bytes(run.address, Span(zeros, run.words)) for run in buffers]
    return tables.add("loaded", "offramp_bytes_t", len(lines), lines)


def _biases(suffix: str, runs: Sequence[BiasRun], tables: Tables) -> Span:
    """Biases of a stage."""
    lines = _bias_lines(suffix, runs, tables)
    return tables.add(f"biases{suffix}", "offramp_bytes_t", len(lines), lines)


def _bias_lines(suffix: str, runs: Sequence[BiasRun], tables: Tables) -> list[Line]:
    at = tables.bytes(f"bias_bytes{suffix}", b"".join(run.values.tobytes() for run in runs)).at
    lines = []
    for run in runs:
        lines.append(_run_of_bytes(run.address, Span(at, len(run.values))))
        at += len(run.values)
    return lines


def _run_of_bytes(address: int, span: Span) -> Line:
    return row((word(address), listed(map(number, span))), (address, *span))


def clock_dividers(clock: ClockSetting) -> int:
    """The divider while a stage runs in the lowest byte, and above it the bits that differ while none runs."""
    return clock.divider | (clock.divider ^ clock.idle) << 8


def quadrant_mask(quadrants: Iterable[int]) -> int:
    return sum(1 << quadrant for quadrant in quadrants)
