"""The device as data: memories, registers, fields, limits. All shifting and masking in the repository happens here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from configs.errors import InputError, Problem, Where
from configs.lines import LineMap, load_yaml

Column = int  # index of a 72-bit kernel column in a processor's weight memory, 0..767
Word = int  # index of a 32-bit word in a data memory instance, 0..8191
Processor = int  # 0..63, quadrant * 16 + processor in quadrant


@dataclass(frozen=True)
class Field:
    """Bits `low` .. `low + width - 1` of a 32-bit register."""

    name: str
    low: int
    width: int

    @property
    def limit(self) -> int:
        """Largest value the field holds."""
        return (1 << self.width) - 1

    def decode(self, word: int) -> int:
        return (word >> self.low) & self.limit

    def encode(self, value: int) -> int:
        if not 0 <= value <= self.limit:
            raise ValueError(f"{self.name} = {value} does not fit {self.width} bits (0..{self.limit})")
        return value << self.low


@dataclass(frozen=True)
class Register:
    """A register of a block. `offset` is in bytes from the block's base (layer registers: of layer 0)."""

    name: str
    block: str
    offset: int
    layers: int  # layer slots that have it; 0 for a register that is not per layer
    fields: tuple[Field, ...]
    source: str

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @cached_property
    def mask(self) -> int:
        """All bits that belong to a field."""
        return sum(field.encode(field.limit) for field in self.fields)

    def encode(self, values: Mapping[str, int]) -> int:
        """Pack named values; fields that are not named are 0. ValueError for an unknown field or one that overflows."""
        word = 0
        for name, value in values.items():
            if name not in self.by_name:
                raise ValueError(f"{self.name} has no field `{name}`; it has {', '.join(self.by_name)}")
            try:
                word |= self.by_name[name].encode(value)
            except ValueError as error:
                raise ValueError(f"{self.name}.{error}") from error
        return word

    def decode(self, word: int) -> dict[str, int]:
        return {field.name: field.decode(word) for field in self.fields}


@dataclass(frozen=True)
class Memory:
    """A memory of the accelerator. Strides are 0 where the memory has no such dimension."""

    name: str
    base: int
    quadrant_stride: int
    unit_stride: int  # processor (weights, TRAM) or instance (data)
    words: int
    word_bytes: int
    word_stride: int
    source: str


@dataclass(frozen=True)
class Geometry:
    quadrants: int
    processors_per_quadrant: int
    processors_per_instance: int
    layers: int
    stream_layers: int

    @property
    def processors(self) -> int:
        return self.quadrants * self.processors_per_quadrant

    @property
    def instances_per_quadrant(self) -> int:
        return self.processors_per_quadrant // self.processors_per_instance

    @property
    def instances(self) -> int:
        return self.quadrants * self.instances_per_quadrant


@dataclass(frozen=True)
class Place:
    """What a bus address is: a register (layer -1 if it has none) or a word of a memory."""

    kind: str  # "register", "data", "weights", "bias" or "tram"
    name: str  # register or memory name
    quadrant: int
    unit: int  # layer slot, instance in quadrant, or processor in quadrant
    index: int  # word index (data, bias, TRAM) or byte offset in the processor's window (weights)


@dataclass(frozen=True)
class EnergyError:
    """How far the energy model is from a published measurement. `permille`: 10 is one percent too much.

    `part`: layers or core. `use`: fit, again (what is in the fit, measured in another way) or test (kept out of it).
    """

    row: str
    source: str
    part: str
    use: str
    permille: int


@dataclass(frozen=True)
class Device:
    """A MAX78000-like device. Built by `load_device`; nothing in it is written down in code."""

    name: str
    geometry: Geometry
    memories: Mapping[str, Memory]
    registers: Mapping[str, Register]
    blocks: Mapping[str, Mapping[str, int]]
    limits: Mapping[str, int]
    clocks: Mapping[str, int]
    costs: Mapping[str, int]
    weight_start_multiple: int
    energy: Mapping[str, int]
    energy_errors: tuple[EnergyError, ...]
    express_stride: int

    def layer_registers(self) -> tuple[Register, ...]:
        """Per-layer registers in the order of their numbers."""
        return tuple(register for register in self.registers.values() if register.layers)

    def register_address(self, name: str, quadrant: int = 0, layer: int = 0) -> int:
        """Bus address of a register. ValueError if the layer slot does not have it."""
        register = self.registers[name]
        block = self.blocks[register.block]
        if register.layers and not 0 <= layer < register.layers:
            raise ValueError(f"{name} exists for layers 0..{register.layers - 1}, not {layer}")
        return (
            block["base"]
            + quadrant * block.get("quadrant_stride", 0)
            + register.offset
            + layer * block.get("layer_stride", 0)
        )

    def data_address(self, instance: int, word: Word) -> int:
        """Bus address of a data word; `instance` counts over all quadrants, 0..15."""
        quadrant, unit = divmod(instance, self.geometry.instances_per_quadrant)
        memory = self.memories["data"]
        return memory.base + quadrant * memory.quadrant_stride + unit * memory.unit_stride + word * memory.word_stride

    def weight_address(self, processor: Processor) -> int:
        """Bus address of the first kernel column of a processor, 0..63."""
        quadrant, unit = divmod(processor, self.geometry.processors_per_quadrant)
        memory = self.memories["weights"]
        return memory.base + quadrant * memory.quadrant_stride + unit * memory.unit_stride

    def bias_address(self, quadrant: int, index: int) -> int:
        memory = self.memories["bias"]
        return memory.base + quadrant * memory.quadrant_stride + index * memory.word_stride

    def pointer(self, instance: int, word: Word) -> int:
        """A write pointer as WPTR_BASE holds it: instance over all quadrants, then word."""
        return instance * self.memories["data"].words + word

    def split_pointer(self, pointer: int) -> tuple[int, Word]:
        """Inverse of `pointer`: (instance over all quadrants, word)."""
        return divmod(pointer, self.memories["data"].words)

    def instance_of(self, processor: Processor) -> int:
        """Data memory instance that a processor reads, 0..15."""
        return processor // self.geometry.processors_per_instance

    def quadrant(self, instance: int) -> int:
        """Quadrant of a data memory instance, 0..15."""
        return instance // self.geometry.instances_per_quadrant

    @cached_property
    def _register_places(self) -> dict[int, Place]:
        places: dict[int, Place] = {}
        for register in self.registers.values():
            replicated = "quadrant_stride" in self.blocks[register.block]
            for quadrant in range(self.geometry.quadrants if replicated else 1):
                for layer in range(register.layers or 1):
                    address = self.register_address(register.name, quadrant, layer)
                    unit = layer if register.layers else -1
                    if address in places:
                        other = places[address].name
                        raise ValueError(f"{register.name} and {other} share address {address:#x}")
                    places[address] = Place("register", register.name, quadrant, unit, 0)
        return places

    def locate(self, address: int) -> Place | None:
        """The register or memory word at a bus address (its word, for unaligned addresses); None if there is none."""
        place = self._register_places.get(address)
        if place:
            return place
        for memory in self.memories.values():
            offset = address - memory.base
            if offset < 0:
                continue
            quadrant, offset = divmod(offset, memory.quadrant_stride)
            unit, offset = divmod(offset, memory.unit_stride) if memory.unit_stride else (0, offset)
            units = self._units(memory)
            index = offset // 4
            if quadrant < self.geometry.quadrants and unit < units and offset < memory.words * memory.word_stride:
                return Place(memory.name, memory.name, quadrant, unit, offset if memory.name == "weights" else index)
        return None

    def _units(self, memory: Memory) -> int:
        if not memory.unit_stride:
            return 1
        per_instance = memory.name == "data"
        return self.geometry.instances_per_quadrant if per_instance else self.geometry.processors_per_quadrant


DEVICE_FILE = Path(__file__).with_name("max78000.yaml")


@cache
def load_device(path: Path = DEVICE_FILE) -> Device:
    """Read a device file strictly: unknown or missing keys, overlapping fields and addresses are InputError."""
    return build_device(load_yaml(path, path.name))


def build_device(data: LineMap) -> Device:
    """A Device from a device file's content (for instance one with a field moved on purpose)."""
    reader = _Reader(data.where.file)
    reader.keys(data, _SECTIONS)
    reader.stop()
    geometry = reader.numbers(data["geometry"], set(Geometry.__dataclass_fields__))
    memories = {name: reader.memory(name, entry) for name, entry in data["memories"].items()}
    blocks = {name: reader.numbers(entry, {"base"}, _STRIDES) for name, entry in data["blocks"].items()}
    registers: dict[str, Register] = {}
    for block, entries in data["registers"].items():
        for name, entry in entries.items():
            registers[name] = reader.register(name, block, entry, blocks[block], geometry["layers"])
    names = ("limits", "clocks", "costs", "energy")
    tables = {name: reader.numbers(data[name], set(data[name]) - {"source"}) for name in names}
    errors = tuple(reader.energy_error(entry) for entry in data["energy_errors"])
    reader.stop()
    weights = data["memories"]["weights"]
    device = Device(
        name=data["device"],
        geometry=Geometry(**geometry),
        memories=memories,
        registers=registers,
        blocks=blocks,
        weight_start_multiple=weights["start_multiple"],
        express_stride=weights["express_stride"],
        energy_errors=errors,
        **tables,
    )
    try:
        _ = device._register_places
    except ValueError as error:
        raise InputError(Problem(data.where, str(error))) from error
    return device


_SECTIONS = {
    *("device", "geometry", "memories", "blocks", "registers", "limits", "clocks", "costs", "energy", "energy_errors")
}
_STRIDES = frozenset({"quadrant_stride", "register_stride", "layer_stride"})


class _Reader:
    """Collects what is wrong with a device file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def stop(self) -> None:
        if self.problems:
            raise InputError(self.problems)

    def keys(self, data: LineMap, needed: set[str], optional: frozenset[str] = frozenset()) -> None:
        for key in data:
            if key not in needed | optional:
                allowed = ", ".join(sorted(needed | optional))
                self.problems.append(Problem(data.at(key), f"unknown key `{key}`; allowed: {allowed}"))
        for key in sorted(needed - set(data)):
            self.problems.append(Problem(data.where, f"missing key `{key}`"))

    def numbers(self, data: LineMap, needed: set[str], optional: frozenset[str] = frozenset()) -> dict[str, int]:
        self.keys(data, needed | {"source"}, optional)
        values = {key: value for key, value in data.items() if key != "source"}
        for key, value in values.items():
            if type(value) is not int or value < 0:
                self.problems.append(Problem(data.at(key), f"`{key}` is {value!r}; a number >= 0 is expected"))
        return values

    def energy_error(self, data: LineMap) -> EnergyError:
        self.keys(data, set(EnergyError.__dataclass_fields__))
        self.stop()
        if data["part"] not in ("layers", "core") or data["use"] not in ("fit", "again", "test"):
            self.problems.append(Problem(data.where, "`part` is layers or core, `use` is fit, again or test"))
        if type(data["permille"]) is not int:
            self.problems.append(Problem(data.at("permille"), "`permille` is a whole number"))
        return EnergyError(**data)

    def memory(self, name: str, data: LineMap) -> Memory:
        units = frozenset({"processor_stride", "instance_stride"})
        extra = frozenset({"word_bytes", "word_stride", "express_stride", "start_multiple"})
        values = self.numbers(data, {"base", "quadrant_stride", "words"}, units | extra)
        return Memory(
            name=name,
            base=values["base"],
            quadrant_stride=values["quadrant_stride"],
            unit_stride=values.get("processor_stride", values.get("instance_stride", 0)),
            words=values["words"],
            word_bytes=values.get("word_bytes", 4),
            word_stride=values.get("word_stride", 4),
            source=str(data["source"]),
        )

    def register(self, name: str, block: str, data: LineMap, strides: Mapping[str, int], layers: int) -> Register:
        per_layer = "register_stride" in strides
        self.keys(data, {"number" if per_layer else "offset", "fields", "source"}, frozenset({"layers"}))
        offset = data.get("number", 0) * strides["register_stride"] if per_layer else data.get("offset", 0)
        fields = tuple(self.field(key, entry, data["fields"].at(key)) for key, entry in data["fields"].items())
        taken = 0
        for field in fields:
            if taken & field.encode(field.limit):
                self.problems.append(Problem(data["fields"].at(field.name), f"{name}.{field.name} overlaps another"))
            taken |= field.encode(field.limit)
        count = data.get("layers", layers) if per_layer else 0
        return Register(name, block, offset, count, fields, str(data.get("source", "")))

    def field(self, name: str, data: Any, where: Where) -> Field:
        text = str(data["bits"]) if isinstance(data, dict) and set(data) == {"bits"} else ""
        high, _, low = text.partition(":")
        if not (high.isdigit() and (low or high).isdigit() and 0 <= int(low or high) <= int(high) <= 31):
            self.problems.append(Problem(where, f'field `{name}`: {{bits: "high:low"}} within 31:0 is expected'))
            return Field(name, 0, 0)
        return Field(name, int(low or high), int(high) - int(low or high) + 1)
