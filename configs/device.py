"""The device as data: geometry, memories, registers, limits, costs, and where on the bus everything is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from offramp.configs.clock_tree import ClockTree
from offramp.configs.device_reader import (
    numbers,
    read_clock_tree,
    read_device_file,
    read_energy_error,
    read_evidence,
    read_memory,
    read_register,
)
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.lines import LineMap, load_yaml
from offramp.configs.registers import EnergyError, Evidence, Memory, Register
from offramp.configs.schema import Entry

Column = int  # index of a kernel column (72 bits) in a processor's weight memory
Word = int  # index of a 32-bit word in a data memory instance
Processor = int  # over all quadrants, as instances are counted too


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
    """What lies at a bus address: a register (layer -1 if it has none) or a word of a memory."""

    kind: str  # "register", "data", "weights", "bias" or "tram"
    name: str  # register or memory name
    quadrant: int
    unit: int  # layer slot, instance in quadrant, or processor in quadrant
    index: int  # word index (data, bias, TRAM) or byte offset in the processor's window (weights)


@dataclass(frozen=True)
class Device:
    """A device with a CNN accelerator of this kind. Built by `load_device`; its numbers are in no other code."""

    name: str
    layer_form: str  # of device_reader.LAYER_FORMS
    geometry: Geometry
    memories: Mapping[str, Memory]
    registers: Mapping[str, Register]
    blocks: Mapping[str, Mapping[str, int]]
    limits: Mapping[str, int]
    clocks: Mapping[str, int]
    clock_tree: ClockTree
    cycles: str  # of device_reader.CYCLE_MODELS
    costs: Mapping[str, int]
    weight_start_multiple: int
    instructions: Mapping[str, int]
    energy: Mapping[str, int]  # empty: there is no energy model of the device
    energy_errors: tuple[EnergyError, ...]
    express_stride: int
    pointer_stride: int  # words from an instance to the next one in a write pointer
    features: frozenset[str]  # of device_reader.FEATURES
    boards: tuple[str, ...]  # the vendor SDK's names, the evaluation kit first
    evidence: tuple[Evidence, ...]
    core: Mapping[str, int]  # memory map of the chip, and the accelerator's interrupt

    @property
    def instance_bytes(self) -> int:
        """Bytes of a data memory instance."""
        return self.memories["data"].words * self.memories["data"].word_bytes

    def columns(self, processor: Processor) -> int:
        """Kernel columns of a processor's weight memory."""
        return self.memories["weights"].words_in(processor)

    def common_columns(self, processors: int) -> int:
        """Kernel columns that all processors of a map have; of an empty map: those of the processors with most."""
        chosen = [one for one in range(self.geometry.processors) if processors >> one & 1]
        return min(map(self.columns, chosen), default=self.memories["weights"].most_words)

    @property
    def weight_memory_bytes(self) -> int:
        """Bytes of all weight memories."""
        columns = sum(self.columns(processor) for processor in range(self.geometry.processors))
        return columns * self.memories["weights"].word_bytes

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
        """Bus address of a data word; `instance` counts over all quadrants."""
        quadrant, unit = divmod(instance, self.geometry.instances_per_quadrant)
        memory = self.memories["data"]
        return memory.base + quadrant * memory.quadrant_stride + unit * memory.unit_stride + word * memory.word_stride

    def weight_address(self, processor: Processor) -> int:
        """Bus address of the first kernel column of a processor."""
        quadrant, unit = divmod(processor, self.geometry.processors_per_quadrant)
        memory = self.memories["weights"]
        return memory.base + quadrant * memory.quadrant_stride + unit * memory.unit_stride

    def bank_column(self, bank: int, column: Column) -> Column:
        """A column of one of the physical weight memories, counted in the bank, as a column of the processor. Of the
        columns that only some processors have, each bank has an equal part."""
        memory = self.memories["weights"]
        banks = memory.words // memory.bank_words
        if column < memory.bank_words:
            return bank * memory.bank_words + column
        more = (memory.most_words - memory.words) // banks
        return memory.words + bank * more + column - memory.bank_words

    def bias_address(self, quadrant: int, index: int) -> int:
        memory = self.memories["bias"]
        return memory.base + quadrant * memory.quadrant_stride + index * memory.word_stride

    def pointer(self, instance: int, word: Word) -> int:
        """A write pointer as WPTR_BASE holds it: instance over all quadrants, then word."""
        return instance * self.pointer_stride + word

    def split_pointer(self, pointer: int) -> tuple[int, Word]:
        """Inverse of `pointer`: (instance over all quadrants, word)."""
        return divmod(pointer, self.pointer_stride)

    def instance_of(self, processor: Processor) -> int:
        """Data memory instance that a processor reads."""
        return processor // self.geometry.processors_per_instance

    def quadrant(self, instance: int) -> int:
        """Quadrant of a data memory instance."""
        return instance // self.geometry.instances_per_quadrant

    def register_places(self) -> Iterator[tuple[int, Place]]:
        """Every register's bus address, and what is there."""
        for register in self.registers.values():
            replicated = "quadrant_stride" in self.blocks[register.block]
            for quadrant in range(self.geometry.quadrants if replicated else 1):
                for layer in range(register.layers or 1):
                    address = self.register_address(register.name, quadrant, layer)
                    unit = layer if register.layers else -1
                    yield address, Place("register", register.name, quadrant, unit, 0)

    @cached_property
    def _registers_by_address(self) -> dict[int, Place]:
        return dict(self.register_places())

    def locate(self, address: int) -> Place | None:
        """The register or memory word at a bus address (its word, for unaligned addresses); None if there is none."""
        place = self._registers_by_address.get(address)
        if place:
            return place
        for memory in self.memories.values():
            offset = address - memory.base
            if offset < 0:
                continue
            quadrant, offset = divmod(offset, memory.quadrant_stride)
            unit, offset = divmod(offset, memory.unit_stride) if memory.unit_stride else (0, offset)
            units = self._units(memory)
            index = offset // memory.word_stride
            size = memory.words_in(quadrant * units + unit) * memory.word_stride
            if quadrant < self.geometry.quadrants and unit < units and offset < size:
                return Place(memory.name, memory.name, quadrant, unit, offset if memory.name == "weights" else index)
        return None

    def _units(self, memory: Memory) -> int:
        if not memory.unit_stride:
            return 1
        per_instance = memory.name == "data"
        return self.geometry.instances_per_quadrant if per_instance else self.geometry.processors_per_quadrant


DEFAULT = "MAX78000"


def device_names() -> tuple[str, ...]:
    """Names of the known devices: each is a file NAME.yaml beside this one, in lower case."""
    return tuple(sorted(path.stem.upper() for path in Path(__file__).parent.glob("*.yaml")))


def device_file(name: str) -> Path:
    return Path(__file__).with_name(f"{name.lower()}.yaml")


def load_device(name: str = DEFAULT, where: Where | None = None) -> Device:
    """The device with a name, in upper or lower case. `where`: the place that names it. InputError if there is none of
    this name, or with everything that is wrong with its file.
    """
    if name.upper() not in device_names():
        raise InputError(Diagnostic(where, f"there is no device `{name}`; there are: {', '.join(device_names())}"))
    return _read_device(name.upper())


@cache
def _read_device(name: str) -> Device:
    path = device_file(name)
    data = load_yaml(path, path.name)
    device = build_device(data)
    if device.name != name:
        raise InputError(Diagnostic(data.at("device"), f"`device: {device.name}` in the file of {name}"))
    return device


def build_device(data: LineMap) -> Device:
    """A Device from a device file's content (for instance one with a field moved on purpose)."""
    entry = read_device_file(data)
    memories = entry["memories"]
    geometry = Geometry(**numbers(entry["geometry"]))
    device = Device(
        name=entry["device"],
        layer_form=entry["layer_form"],
        geometry=geometry,
        memories={name: read_memory(name, memories[name]) for name in memories.stated},
        registers=_registers(entry, geometry),
        blocks={name: numbers(entry["blocks"][name]) for name in entry["blocks"].stated},
        limits=numbers(entry["limits"]),
        clocks=numbers(entry["clocks"]),
        clock_tree=read_clock_tree(entry["core_clock"], entry["cnn_clock"]),
        cycles=entry["cycles"],
        costs=numbers(entry["costs"]),
        weight_start_multiple=memories["weights"]["start_multiple"],
        instructions=numbers(entry["instructions"]),
        energy=numbers(entry["energy"]) if "energy" in entry else {},
        energy_errors=tuple(read_energy_error(error) for error in entry["energy_errors"]),
        express_stride=memories["weights"]["express_stride"],
        pointer_stride=memories["data"]["pointer_stride"],
        features=entry["features"],
        boards=entry["boards"],
        evidence=tuple(map(read_evidence, entry["evidence"])),
        core=numbers(entry["core"]),
    )
    if device.pointer_stride < device.memories["data"].words:
        message = f"`pointer_stride` is {device.pointer_stride}; at least the words of an instance are expected"
        raise InputError(Diagnostic(memories["data"].at("pointer_stride"), message))
    if problems := _shared_addresses(device, data.where):
        raise InputError(problems)
    return device


def _shared_addresses(device: Device, where: Where) -> list[Diagnostic]:
    first: dict[int, str] = {}
    shared: dict[tuple[str, str], int] = {}
    for address, place in device.register_places():
        if address in first:
            shared.setdefault((place.name, first[address]), address)
        first.setdefault(address, place.name)
    return [Diagnostic(where, f"{one} and {other} share address {at:#x}") for (one, other), at in shared.items()]


def _registers(entry: Entry, geometry: Geometry) -> dict[str, Register]:
    problems: list[Diagnostic] = []
    registers: dict[str, Register] = {}
    for block in entry["registers"].stated:
        if block not in entry["blocks"].stated:
            problems.append(Diagnostic(entry["registers"].at(block), f"there is no block `{block}`"))
            continue
        strides, found = numbers(entry["blocks"][block]), entry["registers"][block]
        for name in found.stated:
            registers[name] = read_register(name, block, found[name], strides, geometry.layers, problems)
    if problems:
        raise InputError(problems)
    return registers
