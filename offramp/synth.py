"""`offramp synth`: networks of corpus cases through our placement and generator, judged by the vendor's answers."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from configs.device import load_device
from configs.errors import OfframpError
from offramp import cases
from offramp.case import Case, load_case
from offramp.direct import Machine, run_all
from planner.capability import check_network
from planner.place import place
from planner.placed import Placed
from planner.stages import whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp synth`."""
    parser.epilog = "example:\n  offramp synth ../shared/corpus/cases/net-mnist* --jobs 2"
    cases.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Judge all cases; exit code 1 if one fails."""
    return cases.judge_cases(args, synth_case)


def synth_case(folder: Path) -> tuple[str, ...]:
    """Reasons why a case fails; none if the last layer's output equals the vendor's answer bit for bit."""
    try:
        case = load_case(folder)
        machine = Machine(place_case(case))
        machine.load()
        result = run_all(machine, [case.sample])[0].reshape(-1)
    except OfframpError as error:
        return tuple(str(problem) for problem in error.problems)
    answers = folder / "outputs.npz"
    if not answers.is_file():
        return ("there is no outputs.npz to compare with",)
    expected = np.load(answers, allow_pickle=False)["final"].astype(np.int64).reshape(-1)
    if result.shape != expected.shape:
        return (f"the output has {result.size} values, {expected.size} are expected",)
    different = int(np.count_nonzero(result != expected))
    return (f"{different} of {expected.size} output values differ",) if different else ()


def place_case(case: Case) -> Placed:
    """Our placement of a case's network. Layers may write over what they read where the vendor's run allowed it."""
    device = load_device()
    if problems := check_network(case.network, device):
        raise OfframpError(problems)
    return place(whole("network", case.network), device, overlap="--overlap-data" in case.meta["izer_args"])
