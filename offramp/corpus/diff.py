"""`offramp diff`: our register program for a corpus case's network against the vendor's, by register and field."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from offramp.configs.device import Device, device_names, load_device
from offramp.configs.errors import Damaged, InputError, OfframpError
from offramp.corpus import cases
from offramp.corpus.case import load_case
from offramp.corpus.explained import Explanation, Programs, load_explanations
from offramp.corpus.registers import Difference, differences, in_our_slots, our_image, slot_order, vendor_image
from offramp.corpus.synth import place_case
from offramp.host.console import make_console
from offramp.pipeline.devices import device_of_case


@dataclass(frozen=True)
class Comparison:
    """A case's differences: those without an explanation, and how many fields each explanation covers.

    `refused`: why there is no program of ours; then nothing was compared. `damaged`: that is a damaged file.
    """

    unexplained: tuple[Difference, ...] = ()
    explained: Mapping[Explanation, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    damaged: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp diff`."""
    parser.epilog = "example:\n  offramp diff ../shared/corpus/cases --workers 2"
    cases.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Compare all cases. Exit code 2 if one is damaged, else 1 if one differs without a reason or is not compared."""
    console = make_console()
    equal = explained = unexplained = refused = 0
    damaged = False
    fields: Counter[Explanation] = Counter()
    affected: Counter[Explanation] = Counter()
    for case, result in cases.each_case(args, partial(_compared, stated=args.device)):
        for line in (*result.refused, *result.unexplained):
            console.print(f"{case.name}: {line}", markup=False)
        fields.update(result.explained)
        affected.update(result.explained.keys())
        refused += bool(result.refused)
        damaged |= result.damaged
        unexplained += bool(result.unexplained)
        explained += bool(result.explained) and not result.unexplained
        equal += not (result.explained or result.unexplained or result.refused)
    devices = map(load_device, device_names())
    for explanation in dict.fromkeys(one for device in devices for one in load_explanations(device)):
        if fields[explanation]:
            where = f"{', '.join(explanation.fields)}: {fields[explanation]} differ, cases: {affected[explanation]}"
            console.print(f"{where}. {explanation.reason}", markup=False)
    if refused:
        console.print(f"{refused} not compared")
    console.print(f"{equal} cases equal, {explained} explained, {unexplained} with unexplained differences")
    return 2 if damaged else 1 if unexplained or refused else 0


def _compared(folder: Path, stated: str | None) -> Comparison:
    try:
        return diff_case(folder, device_of_case(folder, stated))
    except InputError as error:
        return replace(_refused(error), damaged=isinstance(error, Damaged))


def _refused(error: OfframpError) -> Comparison:
    return Comparison(refused=tuple(f"not compared: {problem}" for problem in error.problems))


def diff_case(folder: Path, device: Device) -> Comparison:
    """Compare our program for a case's network with the case's."""
    try:
        case = load_case(folder, device)
        placed = place_case(case, device)
        theirs = vendor_image(folder, device)
        order = slot_order(theirs, device)
        theirs = in_our_slots(theirs, order, device.geometry.layers)
        programs = Programs(placed, our_image(placed), theirs, case.meta["izer_args"], order)
    except Damaged:
        raise
    except OfframpError as error:
        return _refused(error)
    return compare(programs)


def compare(programs: Programs) -> Comparison:
    """Sort all differences into explained and unexplained ones."""
    explanations = load_explanations(programs.device)
    unexplained = []
    explained: Counter[Explanation] = Counter()
    for difference in differences(programs.ours, programs.theirs, programs.device):
        explanation = next((one for one in explanations if one.covers(programs, difference)), None)
        if explanation:
            explained[explanation] += 1
        else:
            unexplained.append(difference)
    return Comparison(tuple(unexplained), explained)
