"""The checks that a wrong device file or a wrong rule of the simulator has to get past, strongest witnesses first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from bench.mutation_networks import network_check
from bench.mutation_suites import DEFAULT, Suite
from offramp.configs.device import Device, load_device
from offramp.corpus.replay import replay_case

VENDOR, NETWORK, PROGRAM, TABLE = "vendor's program", "own network", "bus program", "second reading"
WITNESSES = (VENDOR, NETWORK, PROGRAM, TABLE)


@dataclass(frozen=True)
class Check:
    """`passes(device)`: does a simulator with this device file do what the check expects?"""

    name: str
    witness: str
    passes: Callable[[Device], bool]

    def fails(self, device: Device) -> bool:
        """Whether the check notices something wrong. A model that crashes is noticed too, wherever it does."""
        try:
            return not self.passes(device)
        except Exception:  # a mutant may break anything
            return True


def all_checks(corpus: Path | None, suite: Suite = DEFAULT) -> tuple[Check, ...]:
    """All checks in the order of their strength; those of the vendor's programs only with a corpus folder."""
    folder = corpus and corpus / "cases"
    cases = [Check(name, VENDOR, partial(_replays, folder / name, suite)) for name in suite.cases] if folder else []
    networks = [Check(name, NETWORK, partial(network_check, name)) for name in suite.networks]
    programs = [Check(name, PROGRAM, run) for name, run in suite.programs.items()]
    tables = [Check(name, TABLE, run) for name, run in suite.tables.items()]
    return (*cases, *networks, *programs, *tables)


def _replays(case: Path, suite: Suite, device: Device) -> bool:
    """Whether a case's answer is still right. A program whose words all read as before need not run again, unless the
    model fills in the register itself."""
    right = suite.right.registers
    changed = {name for name, register in device.registers.items() if register != right[name]}
    if changed and not changed & suite.answering:
        written = ((device.registers[name], word) for name, word in _words(case, suite.device) if name in changed)
        if not any(new.decode(word) != right[new.name].decode(word) or word & ~new.mask for new, word in written):
            return True
    return not replay_case(case, device)


@cache
def _words(case: Path, device: str) -> frozenset[tuple[str, int]]:
    """Registers that a case's program writes, with the words."""
    with np.load(case / "program.npz", allow_pickle=False) as program:
        phases = [name.removesuffix("_addr") for name in program.files if name.endswith("_addr")]
        pairs = {
            pair
            for phase in phases
            for pair in zip(program[f"{phase}_addr"].tolist(), program[f"{phase}_value"].tolist(), strict=True)
        }
    places = ((load_device(device).locate(address), word) for address, word in pairs)
    return frozenset((place.name, word) for place, word in places if place and place.kind == "register")


def first_failure(checks: Sequence[Check], device: Device) -> Check | None:
    """The first check that notices the device file; None if none does."""
    return next((check for check in checks if check.fails(device)), None)
