"""`offramp synth`: networks of corpus cases through our placement and generator, judged by the vendor's answers."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from configs.device import Device, load_device
from configs.errors import OfframpError
from offramp.case import load_case
from offramp.cases import CaseArguments, add_case_arguments, run_cases
from offramp.direct import Machine, run_all
from planner.capability import check_network
from planner.place import place
from planner.stages import whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_case_arguments(parser, "synth")


def run(args: argparse.Namespace) -> int:
    return run_cases(CaseArguments.of(args), synth_case)


def synth_case(case: Path) -> tuple[str, ...]:
    """Reasons why the case fails; none if every output layer equals the vendor's answer bit for bit."""
    device = load_device()
    try:
        return _synth(case, device)
    except OfframpError as error:
        return tuple(str(problem) for problem in error.problems)


def _synth(case: Path, device: Device) -> tuple[str, ...]:
    loaded = load_case(case)
    problems = check_network(loaded.network, device)
    if problems:
        return tuple(str(problem) for problem in problems)
    placed = place(whole(loaded.network.name, loaded.network), device, loaded.overlap)
    machine = Machine(placed)
    machine.load()
    result = run_all(machine, [loaded.x])[0]
    expected = np.load(case / "outputs.npz", allow_pickle=False)["final"].astype(np.int64)
    if result.size != expected.size:
        return (f"the output has {result.shape} values, {expected.shape} are expected",)
    different = int(np.count_nonzero(result.reshape(-1) != expected.reshape(-1)))
    return (f"{different} of {expected.size} output values differ",) if different else ()
