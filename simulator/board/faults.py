"""Faults that a board can be given, each a value: what goes wrong, and when. `FaultyBus` makes them happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from offramp.simulator.board.external import Change
from offramp.simulator.board.interrupts import FREE_INTERRUPT


@dataclass(frozen=True)
class AtAccess:
    """Before the core's n-th access to the accelerator, counted from 1."""

    number: int


@dataclass(frozen=True)
class AtStart:
    """At the n-th start, counted from 1, so many cycles of the core into the run; at 0 before its first layer."""

    number: int
    cycles: int = 0


@dataclass(frozen=True)
class ByHost:
    """When the host says so (FaultyBus.strike)."""


When = AtAccess | AtStart | ByHost


class Board(Protocol):
    """What a fault may change."""

    def alter_completion(self, runs: int, change: Callable[[int | None], int | None]) -> None: ...

    def alter_line(self, runs: int, lost: bool = False, late: int = 0, again: bool = False) -> None: ...

    def spoil_results(self) -> None: ...

    def hang(self) -> None: ...

    def stick_line(self) -> None: ...

    def lose_power(self, retain_weights: bool, restored: bool) -> None: ...

    def disappear(self, value: int) -> None: ...

    def flip_register(self, name: str, bit: int, quadrant: int, layer: int) -> None: ...

    def overwrite_weights(self, processor: int, column: int, data: bytes) -> None: ...

    def overwrite_bias(self, quadrant: int, index: int, value: int) -> None: ...

    def overwrite_data(self, instance: int, word: int, value: int) -> None: ...

    def raise_interrupt(self, number: int) -> None: ...

    def alter_external(self, readings: int, change: Change) -> None: ...


@dataclass(frozen=True)
class NeverDone:
    """The next `runs` runs compute and are never done."""

    when: When
    runs: int = 1

    def strike(self, board: Board) -> None:
        board.alter_completion(self.runs, lambda cycles: None)


@dataclass(frozen=True)
class DoneLate:
    """The next `runs` runs take `factor` times as long."""

    when: When
    factor: int = 10
    runs: int = 1

    def strike(self, board: Board) -> None:
        board.alter_completion(self.runs, lambda cycles: None if cycles is None else cycles * self.factor)


@dataclass(frozen=True)
class DoneEarly:
    """The next `runs` runs are done at once, and what they would have written is junk."""

    when: When
    runs: int = 1

    def strike(self, board: Board) -> None:
        def at_once(cycles: int | None) -> int | None:
            board.spoil_results()
            return None if cycles is None else 0

        board.alter_completion(self.runs, at_once)


@dataclass(frozen=True)
class InterruptLost:
    """The next `runs` runs set CTRL.done and raise no interrupt."""

    when: When
    runs: int = 1

    def strike(self, board: Board) -> None:
        board.alter_line(self.runs, lost=True)


@dataclass(frozen=True)
class InterruptLate:
    """The interrupts of the next `runs` runs come so many cycles of the core after CTRL.done."""

    when: When
    cycles: int = 100_000
    runs: int = 1

    def strike(self, board: Board) -> None:
        board.alter_line(self.runs, late=self.cycles)


@dataclass(frozen=True)
class InterruptTwice:
    """The interrupts of the next `runs` runs come once more when CTRL.done has been cleared."""

    when: When
    runs: int = 1

    def strike(self, board: Board) -> None:
        board.alter_line(self.runs, again=True)


@dataclass(frozen=True)
class InterruptStuck:
    """The interrupt stays pending whatever CTRL.done is, until the block is reset."""

    when: When

    def strike(self, board: Board) -> None:
        board.stick_line()


@dataclass(frozen=True)
class HangsUntilReset:
    """No run that begins is done until GCFR has reset all quadrants that had power."""

    when: When

    def strike(self, board: Board) -> None:
        board.hang()


@dataclass(frozen=True)
class PowerLost:
    """The block loses its power: registers are 0, memories are junk, the weights only if they are not retained.
    `restored`: at once; else when the program writes the power registers again."""

    when: When
    retain_weights: bool = False
    restored: bool = True

    def strike(self, board: Board) -> None:
        board.lose_power(self.retain_weights, self.restored)


@dataclass(frozen=True)
class BlockAbsent:
    """Nothing answers: reads give `value`, writes vanish, no interrupt comes."""

    when: When
    value: int = 0

    def strike(self, board: Board) -> None:
        board.disappear(self.value)


@dataclass(frozen=True)
class RegisterFlipped:
    """A bit of a live register inverts. `layer`: -1 for a register that is not per layer."""

    when: When
    name: str
    bit: int
    quadrant: int = 0
    layer: int = -1

    def strike(self, board: Board) -> None:
        board.flip_register(self.name, self.bit, self.quadrant, self.layer)


@dataclass(frozen=True)
class WeightsOverwritten:
    """A kernel column gets other bytes. Processors count over all quadrants."""

    when: When
    processor: int = 0
    column: int = 0
    data: bytes = bytes([0x55] * 9)

    def strike(self, board: Board) -> None:
        board.overwrite_weights(self.processor, self.column, self.data)


@dataclass(frozen=True)
class BiasOverwritten:
    """A bias gets another value, 0 to 255."""

    when: When
    quadrant: int = 0
    index: int = 0
    value: int = 0x55

    def strike(self, board: Board) -> None:
        board.overwrite_bias(self.quadrant, self.index, self.value)


@dataclass(frozen=True)
class DataOverwritten:
    """A data word gets another value. Instances count over all quadrants."""

    when: When
    instance: int = 0
    word: int = 0
    value: int = 0x55AA55AA

    def strike(self, board: Board) -> None:
        board.overwrite_data(self.instance, self.word, self.value)


@dataclass(frozen=True)
class InterruptRaised:
    """The host raises an interrupt; the board's free one if no other is named."""

    when: When
    number: int = FREE_INTERRUPT

    def strike(self, board: Board) -> None:
        board.raise_interrupt(self.number)


@dataclass(frozen=True)
class ExternalFails:
    """The next `readings` readings from the memory outside flash fail."""

    when: When
    readings: int = 1

    def strike(self, board: Board) -> None:
        board.alter_external(self.readings, lambda data: None)


@dataclass(frozen=True)
class ExternalShort:
    """The next `readings` readings from the memory outside flash give only so many bytes."""

    when: When
    size: int = 4
    readings: int = 1

    def strike(self, board: Board) -> None:
        board.alter_external(self.readings, lambda data: data[: self.size])


@dataclass(frozen=True)
class ExternalDamaged:
    """A bit of a byte inverts in the next `readings` readings from the memory outside flash, as far as they have it."""

    when: When
    byte: int = 0
    bit: int = 0
    readings: int = 1

    def strike(self, board: Board) -> None:
        def damaged(data: bytes) -> bytes:
            found = bytearray(data)
            found[self.byte : self.byte + 1] = bytes(one ^ 1 << self.bit for one in found[self.byte : self.byte + 1])
            return bytes(found)

        board.alter_external(self.readings, damaged)


OUTSIDE = (ExternalFails, ExternalShort, ExternalDamaged)  # of boards that have a memory outside flash

Fault = (
    NeverDone
    | DoneLate
    | DoneEarly
    | InterruptLost
    | InterruptLate
    | InterruptTwice
    | InterruptStuck
    | HangsUntilReset
    | PowerLost
    | BlockAbsent
    | RegisterFlipped
    | WeightsOverwritten
    | BiasOverwritten
    | DataOverwritten
    | InterruptRaised
    | ExternalFails
    | ExternalShort
    | ExternalDamaged
)
