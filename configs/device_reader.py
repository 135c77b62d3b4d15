"""The keys of a device file, and its registers and memories as read by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offramp.configs.clock_tree import ClockSource, ClockTree
from offramp.configs.errors import Diagnostic, InputError
from offramp.configs.lines import LineMap
from offramp.configs.registers import ACCESS, EnergyError, Evidence, Field, Memory, Register
from offramp.configs.schema import Entry, Items, Key, Section, read_entry
from offramp.configs.values import date, integer, one_of, text


def bits(value: Any) -> tuple[int, int]:
    """`high:low` or one number, as the lowest bit and the width."""
    high, _, low = str(value).partition(":")
    if not (high.isdigit() and (low or high).isdigit() and 0 <= int(low or high) <= int(high) <= 31):
        raise ValueError('"high:low" or one number, within 31:0, is expected')
    return int(low or high), int(high) - int(low or high) + 1


def _any(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a whole number is expected")
    return value


# Abilities that some devices have, and in whose absence a network that asks for them is refused. A device file lists
# those that the planner, and the lowering and the decoding of its family, know how to use.
FEATURES = (
    "binary_weights",
    "bypass",
    "calcx4",
    "depthwise",
    "eltwise_passes",
    "free_starts",
    "hardware_exits",
    "links",
    "passthrough_passes",
    "plain_biases",
    "pool_dilation",
    "pool_reset",
    "read_gap",
    "readahead",
    "snoop",
    "start_slot",
    "tcalc",
    "unpadded_streams",
)


def _features(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(name in FEATURES for name in value):
        raise ValueError(f"a list of some of {', '.join(FEATURES)} is expected")
    return frozenset(value)


def _boards(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError("a list of names is expected")
    return tuple(value)


# What the registers of layers count: the padded image (UG7456), or up to the last pooling window (izer, MAX78002).
LAYER_FORMS = ("image", "window")
CYCLE_MODELS = ("vendor", "unverified")  # where the cycle model's figures for the device come from

_NUMBER = integer(0)
_SOURCE = Key("source", text, "Where the facts come from.", required=True)
_NUMBERS = Section((_SOURCE,), others=_NUMBER)
_BASE = Key("base", _NUMBER, "Address of the first word.", required=True)

GEOMETRY_KEYS = (
    Key("quadrants", _NUMBER, "Quadrants.", required=True),
    Key("processors_per_quadrant", _NUMBER, "Processors of a quadrant.", required=True),
    Key("processors_per_instance", _NUMBER, "Processors that share a data memory instance.", required=True),
    Key("layers", _NUMBER, "Layer slots.", required=True),
    Key("stream_layers", _NUMBER, "Layer slots that have the stream registers.", required=True),
    _SOURCE,
)
MEMORY_KEYS = (
    _BASE,
    Key("quadrant_stride", _NUMBER, "Bytes between quadrants.", required=True),
    Key("words", _NUMBER, "Words of one of the memories.", required=True),
    Key("word_bytes", _NUMBER, "Bytes that a word holds.", default=4),
    Key("word_stride", _NUMBER, "Bytes between the addresses of words.", default=4),
    Key("bank_words", _NUMBER, "Words of each of its physical memories, where it has several.", default=0),
    _SOURCE,
)
_PROCESSOR_STRIDE = Key("processor_stride", _NUMBER, "Bytes between processors.", required=True)
DATA_KEYS = (
    *MEMORY_KEYS,
    Key("instance_stride", _NUMBER, "Bytes between instances.", required=True),
    Key("pointer_stride", _NUMBER, "Words from an instance to the next one in a write pointer.", required=True),
)
WEIGHT_KEYS = (
    *MEMORY_KEYS,
    _PROCESSOR_STRIDE,
    Key("words_of", Section((), others=_NUMBER), "Words of each processor whose memory has another length."),
    Key("express_stride", _NUMBER, "`word_stride` in express mode.", required=True),
    Key("start_multiple", _NUMBER, "The start column of a layer is a multiple of this.", required=True),
)
BLOCK_KEYS = (
    _BASE,
    Key("quadrant_stride", _NUMBER, "Bytes between quadrants, where each has the block."),
    Key("register_stride", _NUMBER, "Bytes between registers of layers."),
    Key("layer_stride", _NUMBER, "Bytes between layers of a register."),
    _SOURCE,
)
_MEANING = Key("meaning", text, "What it is for, a sentence.", required=True)
FIELD_KEYS = (Key("bits", bits, "`high:low` or one number.", required=True), _MEANING)
CORE_KEYS = (
    Key("flash", _NUMBER, "First address of the flash.", required=True),
    Key("flash_bytes", _NUMBER, "Size of the flash.", required=True),
    Key("sram", _NUMBER, "First address of the RAM.", required=True),
    Key("sram_bytes", _NUMBER, "Size of the RAM.", required=True),
    Key("accelerator", _NUMBER, "First address of the accelerator's window.", required=True),
    Key("accelerator_bytes", _NUMBER, "Size of that window.", required=True),
    Key("interrupt", _NUMBER, "Number of the accelerator's interrupt.", required=True),
    Key("power_wait_us", _NUMBER, "Microseconds from power to the end of isolation."),
    _SOURCE,
)
CORE_CLOCK_KEYS = (
    Key("oscillators", Section((), others=_NUMBER), "Hz of those that can drive the core, by name.", required=True),
    Key("most_divider", _NUMBER, "Largest power of two that divides them.", required=True),
    _SOURCE,
)
_CLOCK_SOURCE_KEYS = (
    Key("code", _NUMBER, "Value of the source's field.", required=True),
    Key("hz", _NUMBER, "Hz of a source that does not follow the core."),
    Key("core_divider", _NUMBER, "Of a source that follows the core: what its clock is divided by."),
    Key("idle_divider", _NUMBER, "Of a PLL: what divides it, at least, while the accelerator does not run."),
)
CNN_CLOCK_KEYS = (
    Key("sources", Section((), others=Section(_CLOCK_SOURCE_KEYS)), "Sources of the clock, by name.", required=True),
    Key("dividers", Section((), others=_NUMBER), "Value of the divider's field, by the divider.", required=True),
    _SOURCE,
)
REGISTER_KEYS = (
    Key("number", _NUMBER, "Of a register of layers: its place among them."),
    Key("offset", _NUMBER, "Of another register: bytes from the block's base."),
    Key("layers", _NUMBER, "Layer slots that have it; default: all."),
    _MEANING,
    Key("access", one_of(ACCESS), "How software may access it.", default="read-write"),
    Key("reset", integer(0, 0xFFFFFFFF), "Value after power-up or reset, where it is known."),
    Key("fields", Section((), others=Section(FIELD_KEYS)), "Its fields, by name.", required=True),
    _SOURCE,
)
ENERGY_ERROR_KEYS = (
    Key("row", text, "What was measured.", required=True),
    _SOURCE,
    Key("part", one_of(("layers", "core")), "What consumed the energy.", required=True),
    Key(
        "use",
        one_of(("fit", "again", "test")),
        "Part of the fit, part of it measured otherwise, or kept out.",
        required=True,
    ),
    Key("permille", _any, "Error of the model; 10 is one percent too much.", required=True),
)
EVIDENCE_KEYS = (
    Key("fact", text, "The question that was asked: a name in docs/SILICON.md.", required=True),
    Key("assumption", text, "What is assumed.", required=True),
    Key("seen", text, "What the chip did.", required=True),
    Key("source", text, "Who saw it, on which board.", required=True),
    Key("date", date, "When, YYYY-MM-DD.", required=True),
)
_MEMORIES = (
    Key("data", Section(DATA_KEYS), "Data memory, in instances.", required=True),
    Key("weights", Section(WEIGHT_KEYS), "Kernels, a memory for each processor.", required=True),
    Key("bias", Section(MEMORY_KEYS), "Biases, a memory for each quadrant.", required=True),
    Key(
        "tram",
        Section((*MEMORY_KEYS, _PROCESSOR_STRIDE)),
        "Rows of streaming layers.",
        required=True,
    ),
)
DEVICE_KEYS = (
    Key("device", text, "Name of the device.", required=True),
    Key("layer_form", one_of(LAYER_FORMS), "What the registers of layers count.", default="image"),
    Key("geometry", Section(GEOMETRY_KEYS), "How many units of each kind there are.", required=True),
    Key("memories", Section(_MEMORIES), "Memories.", required=True),
    Key("blocks", Section((), others=Section(BLOCK_KEYS)), "Blocks of registers by name.", required=True),
    Key("registers", Section((), others=Section((), others=Section(REGISTER_KEYS))), "By block.", required=True),
    Key("features", _features, "Abilities that not every device has.", required=True),
    Key("boards", _boards, "The vendor SDK's names of boards with it, the evaluation kit first.", required=True),
    Key("core", Section(CORE_KEYS), "Memory map of the chip as the core sees it.", required=True),
    Key("limits", _NUMBERS, "Limits of layers.", required=True),
    Key("clocks", _NUMBERS, "Highest clocks, Hz.", required=True),
    Key("core_clock", Section(CORE_CLOCK_KEYS), "Clocks that the core can have.", required=True),
    Key("cnn_clock", Section(CNN_CLOCK_KEYS), "Clocks that the accelerator can have.", required=True),
    Key("cycles", one_of(CYCLE_MODELS), "Whose cycle model it is.", default="vendor"),
    Key("costs", _NUMBERS, "How long the core's work takes.", required=True),
    Key("instructions", _NUMBERS, "Instructions that the core executes.", required=True),
    Key("energy", _NUMBERS, "Coefficients of the energy model, where there is one."),
    Key("energy_errors", Items(Section(ENERGY_ERROR_KEYS)), "Errors of the energy model.", default=()),
    Key("evidence", Items(Section(EVIDENCE_KEYS)), "What chips were seen to do (`offramp silicon`).", default=()),
)


def read_device_file(data: LineMap) -> Entry:
    """What a device file says. InputError with everything that is wrong with it."""
    problems: list[Diagnostic] = []
    entry = read_entry(data, DEVICE_KEYS, problems)
    if problems:
        raise InputError(problems)
    return entry


def numbers(entry: Entry) -> dict[str, int]:
    """The numbers that an entry states, by name, without their source."""
    return {key: entry[key] for key in entry.stated if key != "source"}


def read_memory(name: str, entry: Entry) -> Memory:
    values = entry.values
    return Memory(
        name=name,
        base=entry["base"],
        quadrant_stride=entry["quadrant_stride"],
        unit_stride=values.get("processor_stride") or values.get("instance_stride") or 0,
        words=entry["words"],
        word_bytes=entry["word_bytes"],
        word_stride=entry["word_stride"],
        source=entry["source"],
        words_of=_words_of(values.get("words_of")),
        bank_words=entry["bank_words"],
    )


def _words_of(entry: Entry | None) -> dict[int, int]:
    if entry is None:
        return {}
    if wrong := [unit for unit in entry.stated if not unit.isdecimal()]:
        raise InputError(Diagnostic(entry.at(wrong[0]), f"`{wrong[0]}`; the number of a processor is expected"))
    return {int(unit): entry[unit] for unit in entry.stated}


def read_clock_tree(core: Entry, cnn: Entry) -> ClockTree:
    """The sections `core_clock` and `cnn_clock`. InputError for a source that has not exactly one frequency."""
    sources = [_clock_source(name, cnn["sources"][name]) for name in cnn["sources"].stated]
    dividers = cnn["dividers"]
    if wrong := [name for name in dividers.stated if not name.isdecimal() or int(name) == 0]:
        raise InputError(Diagnostic(dividers.at(wrong[0]), f"`{wrong[0]}`; what the clock is divided by is expected"))
    idle = [source for source in sources if source.idle_divider and str(source.idle_divider) not in dividers.stated]
    if idle:
        found = f"source {idle[0].name}: `idle_divider` {idle[0].idle_divider}"
        raise InputError(Diagnostic(cnn["sources"].where, f"{found} is none of `dividers`"))
    return ClockTree(
        oscillators=numbers(core["oscillators"]),
        most_divider=core["most_divider"],
        sources=tuple(sources),
        dividers={int(name): dividers[name] for name in dividers.stated},
    )


def _clock_source(name: str, entry: Entry) -> ClockSource:
    hz, divider, idle = entry["hz"], entry["core_divider"], entry["idle_divider"]
    if bool(hz) == bool(divider):
        raise InputError(Diagnostic(entry.where, f"source {name}: one of `hz` and `core_divider` is expected, above 0"))
    return ClockSource(name, entry["code"], hz or 0, divider or 0, idle or 0)


def read_energy_error(entry: Entry) -> EnergyError:
    return EnergyError(entry["row"], entry["source"], entry["part"], entry["use"], entry["permille"])


def _field(name: str, entry: Entry) -> Field:
    low, width = entry["bits"]
    return Field(name, low, width, entry["meaning"])


def read_evidence(entry: Entry) -> Evidence:
    return Evidence(entry["fact"], entry["assumption"], entry["seen"], entry["source"], entry["date"])


def read_register(
    name: str, block: str, entry: Entry, strides: Mapping[str, int], layers: int, problems: list[Diagnostic]
) -> Register:
    """A register of a block with `strides`; `layers`: layer slots of the device."""
    per_layer = "register_stride" in strides
    place, other = ("number", "offset") if per_layer else ("offset", "number")
    if place not in entry or other in entry:
        problems.append(Diagnostic(entry.where, f"register {name} of block {block} has a `{place}` and no `{other}`"))
        return Register(name, block, 0, 0, (), "", "", "", None)
    offset = entry["number"] * strides["register_stride"] if per_layer else entry["offset"]
    found = entry["fields"]
    fields = tuple(_field(key, found[key]) for key in found.stated)
    taken = 0
    for field in fields:
        if taken & field.encode(field.limit):
            problems.append(Diagnostic(found.at(field.name), f"{name}.{field.name} overlaps another"))
        taken |= field.encode(field.limit)
    count = (layers if entry["layers"] is None else entry["layers"]) if per_layer else 0
    facts = (entry["source"], entry["meaning"], entry["access"], entry["reset"])
    return Register(name, block, offset, count, fields, *facts)
