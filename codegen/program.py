"""Register programs by field name: what one stage wants in every register, and what a switch between stages writes.

A program prints and compares as text; bits exist only after `encode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from offramp.codegen.firmware import BusWrite
from offramp.configs.device import Device


class Key(NamedTuple):
    """A register: quadrant, layer slot (-1 for a register that is not per layer), name."""

    quadrant: int
    layer: int
    name: str

    def address(self, device: Device) -> int:
        return device.register_address(self.name, self.quadrant, max(self.layer, 0))


Fields = Mapping[str, int]


@dataclass(frozen=True)
class RegisterProgram:
    """Everything a stage needs in registers, zeros included: `settings` for its slots in its quadrants.

    `positions`: the layer slot of each of its layers. `control` holds the CTRL fields while the stage runs, without
    those of the start sequence.
    """

    name: str
    quadrants: tuple[int, ...]
    positions: tuple[int, ...]
    settings: Mapping[Key, Fields]
    control: Fields

    @property
    def layers(self) -> int:
        return len(self.positions)

    def encode(self, device: Device) -> dict[Key, int]:
        """32-bit values of all registers."""
        return {key: device.registers[key.name].encode(fields) for key, fields in self.settings.items()}

    def text(self) -> str:
        """One line a register, only fields that are not zero; the same program gives the same text."""
        lines = [f"stage {self.name}: quadrants {list(self.quadrants)}, {self.layers} layers"]
        lines.append("control " + _fields(self.control))
        for key in sorted(self.settings):
            slot = f"L{key.layer:<2}" if key.layer >= 0 else "-  "
            lines.append(f"q{key.quadrant} {slot} {key.name:<10} {_fields(self.settings[key])}".rstrip())
        return "\n".join(lines) + "\n"


def _fields(fields: Fields) -> str:
    return " ".join(f"{name}={value:#x}" if value > 9 else f"{name}={value}" for name, value in fields.items() if value)


@dataclass(frozen=True)
class Switching:
    """Register states of a chain's stages, and the writes between them.

    `states[i]` covers every register that any stage uses. Where stage i does not care - slots behind its last layer,
    quadrants that it does not use - the state holds what the next stage that does care will want, so that switching
    back and forth writes as little as possible. `kept`: registers that no other model of the image states, and that
    hold the same in all states: they are written once.
    """

    device: Device
    states: tuple[Mapping[Key, int], ...]
    kept: frozenset[Key] = frozenset()

    def configure(self, stage: int) -> tuple[BusWrite, ...]:
        """Bring the registers into the state of a stage, whatever state they are in: every register is written."""
        return self._writes(self.states[stage])

    def entry(self) -> tuple[BusWrite, ...]:
        """What brings them into the state of the first stage after another model has run."""
        return self._writes({key: value for key, value in self.states[0].items() if key not in self.kept})

    def transition(self, before: int, after: int) -> tuple[BusWrite, ...]:
        """What has to be written to go from the state of one stage to that of another."""
        old = self.states[before]
        return self._writes({key: value for key, value in self.states[after].items() if old[key] != value})

    def _writes(self, values: Mapping[Key, int]) -> tuple[BusWrite, ...]:
        ordered = sorted(values, key=lambda key: (key.quadrant, key.layer, self._order[key.name]))
        return tuple(BusWrite(key.address(self.device), values[key]) for key in ordered)

    @cached_property
    def _order(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.device.registers)}


def switching(programs: Sequence[RegisterProgram], device: Device) -> Switching:
    """States of all stages, with everything a stage does not care about filled in from the stages after it."""
    encoded = [program.encode(device) for program in programs]
    keys = sorted({key for values in encoded for key in values})
    states = []
    for stage in range(len(programs)):
        following = encoded[stage:] + encoded[:stage]
        states.append({key: _first(key, following) for key in keys})
    return Switching(device, tuple(states))


def _first(key: Key, states: Iterable[Mapping[Key, int]]) -> int:
    return next(state[key] for state in states if key in state)


def start_writes(program: RegisterProgram, device: Device) -> tuple[BusWrite, ...]:
    """The start sequence: the master is armed, the others wait for it, the master starts (izer `cnn_start`)."""
    control = device.registers["CTRL"]
    master, *others = program.quadrants
    waiting = dict(program.control) | {"sync_enable": 1, "sync_source": master}
    writes = [BusWrite(device.register_address("CTRL", master), control.encode(waiting))]
    writes += [
        BusWrite(device.register_address("CTRL", quadrant), control.encode(waiting | {"enable": 1}))
        for quadrant in others
    ]
    # With FIFO input the master keeps following a source: itself.
    started = dict(program.control) | {"enable": 1, "sync_enable": program.control.get("fifo", 0)}
    writes.append(BusWrite(device.register_address("CTRL", master), control.encode(started)))
    return tuple(writes)


def stop_writes(program: RegisterProgram, device: Device) -> tuple[BusWrite, ...]:
    """After completion: done flag and enable cleared in every quadrant, so that memory and registers are accessible."""
    idle = {name: value for name, value in program.control.items() if name in ("clock_enable", "express")}
    word = device.registers["CTRL"].encode(idle)
    return tuple(BusWrite(device.register_address("CTRL", quadrant), word) for quadrant in program.quadrants)
