"""The parts of a device file: registers and their fields (all shifting and masking), memories, model errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

ACCESS = ("read-write", "read-only", "write-only")


@dataclass(frozen=True)
class Field:
    """Bits `low` .. `low + width - 1` of a 32-bit register. `meaning`: a sentence."""

    name: str
    low: int
    width: int
    meaning: str

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
    meaning: str  # a sentence
    access: str  # of ACCESS
    reset: int | None  # value after power-up or reset; None: not known

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
    words_of: Mapping[int, int] = field(default_factory=dict)  # of the units that have another number of words
    bank_words: int = 0  # of each of its physical memories; 0: it is one

    def words_in(self, unit: int) -> int:
        """Words of a unit, counted over all quadrants: a processor's or an instance's."""
        return self.words_of.get(unit, self.words)

    @property
    def most_words(self) -> int:
        """Words of the longest unit."""
        return max((self.words, *self.words_of.values()))


@dataclass(frozen=True)
class Evidence:
    """What a chip was seen to do. fact: the question that was asked (docs/SILICON.md); date: as YYYY-MM-DD."""

    fact: str
    assumption: str
    seen: str
    source: str
    date: str


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
