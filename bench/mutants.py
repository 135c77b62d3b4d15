"""Device files that are wrong in one field: moved by a bit, or a bit wider or narrower."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from offramp.configs.device import Device
from offramp.configs.registers import Field

WORD_BITS = 32
KINDS = ("up", "down", "wide", "narrow")


@dataclass(frozen=True)
class Mutant:
    """One field of one register, changed in one way."""

    register: str
    field: str
    kind: str

    @property
    def place(self) -> str:
        return f"{self.register}.{self.field}"

    def __str__(self) -> str:
        return f"{self.place} {self.kind}"


def mutants(device: Device) -> Iterator[Mutant]:
    """All mutants of a device: every field in every way that leaves it at least a bit within the word."""
    for register in device.registers.values():
        for field in register.fields:
            for kind in KINDS:
                changed = _change(field, kind)
                if changed.low >= 0 and changed.width >= 1 and changed.low + changed.width <= WORD_BITS:
                    yield Mutant(register.name, field.name, kind)


def mutate(device: Device, mutant: Mutant) -> Device:
    """The device with one field changed. A neighbour in the way loses the bits that the field takes from it."""
    register = device.registers[mutant.register]
    wrong = _change(register.by_name[mutant.field], mutant.kind)
    fields = tuple(wrong if field.name == mutant.field else _yield_to(wrong, field) for field in register.fields)
    return replace(device, registers={**device.registers, register.name: replace(register, fields=fields)})


def _change(field: Field, kind: str) -> Field:
    if kind in ("up", "down"):
        return replace(field, low=field.low + (1 if kind == "up" else -1))
    return replace(field, width=field.width + (1 if kind == "wide" else -1))


def _yield_to(wrong: Field, field: Field) -> Field:
    """The field without the one bit that a changed neighbour may have taken at either end; it may end up with none."""
    shared = range(max(wrong.low, field.low), min(wrong.low + wrong.width, field.low + field.width))
    lost = len(shared)
    return replace(field, low=field.low + (lost if field.low in shared else 0), width=field.width - lost)
