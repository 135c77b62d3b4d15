"""The checks that a wrong device file or a wrong rule of the simulator has to get past, strongest witnesses first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from bench.mutation_networks import NETWORKS, network_check
from bench.mutation_words import PROGRAMS, TABLES
from offramp.configs.device import Device, load_device
from offramp.corpus.replay import replay_case

VENDOR, NETWORK, PROGRAM, TABLE = "vendor's program", "own network", "bus program", "second reading"
WITNESSES = (VENDOR, NETWORK, PROGRAM, TABLE)

# Chosen greedily from the corpus, most mutants for the time first. No other case notices a further mutant.
CASES = (
    "test-conv1d-pool-4-q2",
    "syn-test-eltwiseadd-conv-xor",
    "test-fifostream-pool-stride",
    "test-eltwiseadd-avgpool__avg-pool-rounding",
    "test-eltwiseadd-pool",
    "test-eltwisesub",
    "test-eltwiseor",
    "test-eltwiseadd4-7ch",
    "test-eltwiseadd-avgpool",
    "test-conv1d-pool-9-q1__output-width-32",
    "test-mlpflatten768to10",
    "test-conv1d-multilayer",
    "test-mpflatten-256",
    "test-upsample-nonsquare-pad0A",
    "test-pooling1x13s13-II",
    "test-pooling13x1s1",
    "test-pooling-strideonly",
    "test-passthroughmultipass",
    "test-mlpflatten768to100",
    "test-chan1024-1024",
    "net-mnist-extrasmall__powerdown",
    "test-cifar10-abs",
    "test-layers__no-mexpress",
    "net-cifar-10",
    "test-fifostream-640",
)


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


def all_checks(corpus: Path | None) -> tuple[Check, ...]:
    """All checks in the order of their strength; those of the vendor's programs only with a corpus folder."""
    cases = [Check(name, VENDOR, partial(_replays, corpus / "cases" / name)) for name in CASES] if corpus else []
    networks = [Check(name, NETWORK, partial(network_check, name)) for name in NETWORKS]
    programs = [Check(name, PROGRAM, run) for name, run in PROGRAMS.items()]
    tables = [Check(name, TABLE, run) for name, run in TABLES.items()]
    return (*cases, *networks, *programs, *tables)


# Registers that the model fills in itself: what it answers may change although no written word reads otherwise.
ANSWERING = {"CTRL", "TEST", "FIFO_STAT"}


def _replays(case: Path, device: Device) -> bool:
    """Whether a case's answer is still right. A program whose words all read as before need not run again."""
    right = load_device().registers
    changed = {name for name, register in device.registers.items() if register != right[name]}
    if changed and not changed & ANSWERING:
        written = ((device.registers[name], word) for name, word in _words(case) if name in changed)
        if not any(new.decode(word) != right[new.name].decode(word) or word & ~new.mask for new, word in written):
            return True
    return not replay_case(case, device)


@cache
def _words(case: Path) -> frozenset[tuple[str, int]]:
    """Registers that a case's program writes, with the words."""
    with np.load(case / "program.npz", allow_pickle=False) as program:
        phases = [name.removesuffix("_addr") for name in program.files if name.endswith("_addr")]
        pairs = {
            pair
            for phase in phases
            for pair in zip(program[f"{phase}_addr"].tolist(), program[f"{phase}_value"].tolist(), strict=True)
        }
    places = ((load_device().locate(address), word) for address, word in pairs)
    return frozenset((place.name, word) for place, word in places if place and place.kind == "register")


def first_failure(checks: Sequence[Check], device: Device) -> Check | None:
    """The first check that notices the device file; None if none does."""
    return next((check for check in checks if check.fails(device)), None)
