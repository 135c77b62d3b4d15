"""Names of faults, for command lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from offramp.simulator.board import faults
from offramp.simulator.board.faults import Fault, When

ONES = 0xFFFFFFFF


@dataclass(frozen=True)
class Named:
    """A fault as a command line names it: what happens, and how to make it for a time."""

    description: str
    make: Callable[[When], Fault]


def _power_kept(when: When) -> Fault:
    return faults.PowerLost(when, retain_weights=True)


def _power_gone(when: When) -> Fault:
    return faults.PowerLost(when, restored=False)


def _absent_ones(when: When) -> Fault:
    return faults.BlockAbsent(when, ONES)


def _flipped(when: When) -> Fault:
    return faults.RegisterFlipped(when, "RCNT", 0, layer=0)


FAULTS: Mapping[str, Named] = {
    "never-done": Named("a run is never done", faults.NeverDone),
    "done-late": Named("a run takes ten times as long", faults.DoneLate),
    "done-early": Named("a run is done at once, without its results", faults.DoneEarly),
    "interrupt-lost": Named("a run raises no interrupt", faults.InterruptLost),
    "interrupt-late": Named("the interrupt comes 100,000 cycles of the core late", faults.InterruptLate),
    "interrupt-twice": Named("the interrupt comes twice", faults.InterruptTwice),
    "interrupt-stuck": Named("the interrupt stays pending until the block is reset", faults.InterruptStuck),
    "hangs-until-reset": Named("no run is done until the block is reset", faults.HangsUntilReset),
    "power-lost": Named("the block loses its power for a moment, with all content", faults.PowerLost),
    "power-lost-weights-kept": Named("the same, but the weights stay", _power_kept),
    "power-gone": Named("the block loses its power until the program gives it again", _power_gone),
    "absent-zeros": Named("nothing answers: reads give 0", faults.BlockAbsent),
    "absent-ones": Named("nothing answers: reads give 0xffffffff", _absent_ones),
    "register-flipped": Named("a bit of the row count of layer 0 inverts", _flipped),
    "weights-overwritten": Named("kernel column 0 of processor 0 changes", faults.WeightsOverwritten),
    "bias-overwritten": Named("bias byte 0 of quadrant 0 changes", faults.BiasOverwritten),
    "data-overwritten": Named("word 0 of data memory instance 0 changes", faults.DataOverwritten),
    "interrupt-raised": Named("another interrupt comes", faults.InterruptRaised),
    "external-fails": Named("the next reading of weights outside flash fails", faults.ExternalFails),
    "external-short": Named("the next reading of weights outside flash gives 4 bytes", faults.ExternalShort),
    "external-damaged": Named("a bit of the next weights read from outside flash inverts", faults.ExternalDamaged),
}
