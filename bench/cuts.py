"""Every legal cut of corpus networks as two stages: how many give the unsplit network's answer, with junk all around,
and what the switches between them write.

    python -m bench.cuts [CASE ...] [--free] [--workers N]

Default: all `net-*` and `syn-*` cases of ../shared/corpus; a case says its device in meta.json. --free: processors and
offsets are the planner's choice.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from bench.absent import absent
from offramp.corpus.cases import find_cases  # first, before numpy: it sets how many threads BLAS starts

import numpy as np  # isort: skip

from offramp.codegen.lower import lower
from offramp.configs.device import Device
from offramp.configs.errors import OfframpError
from offramp.corpus.case import Case, load_case
from offramp.corpus.cuts import Answer, judge_both_ways
from offramp.corpus.synth import forget_places
from offramp.host.workers import executor
from offramp.pipeline.devices import device_of_case
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import cut
from offramp.planner.ir.cuts import boundaries, legal_cuts
from offramp.planner.reference.sequence import run_in_order
from offramp.planner.tasks.executor import apply

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "cases"


@dataclass(frozen=True)
class Outcome:
    """One network. `failed`: a line for each cut that fails; `writes`: of each switch, on and back; `refused`: why
    there is no network to cut."""

    name: str
    boundaries: int = 0
    cuts: int = 0
    failed: tuple[str, ...] = ()
    writes: tuple[int, ...] = ()
    refused: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description="every legal cut of corpus networks as two stages")
    parser.add_argument("cases", type=Path, nargs="*", metavar="CASE")
    parser.add_argument("--free", action="store_true", help="forget processors, offsets and write gaps of the YAML")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if not args.cases and not CORPUS.is_dir():
        return absent(CORPUS, "corpus")
    cases = find_cases(args.cases or sorted([*CORPUS.glob("net-*"), *CORPUS.glob("syn-*")]))
    start = time.perf_counter()
    with executor(args.workers) as tasks:
        found = tasks.map(apply, partial(judge_case, free=args.free), cases)
    for outcome in found:
        for line in (*outcome.failed, *filter(None, [outcome.refused])):
            print(f"{outcome.name}: {line}")
    return _summary(found, time.perf_counter() - start)


def _summary(found: Sequence[Outcome], seconds: float) -> int:
    cuts = sum(outcome.cuts for outcome in found)
    failed = sum(len(outcome.failed) for outcome in found)
    split = [outcome for outcome in found if outcome.cuts]
    places = sum(outcome.boundaries for outcome in found)
    whole = sum(not outcome.failed for outcome in split)
    print(f"{cuts} legal cuts among {places} layer boundaries of {len(split)} networks, {seconds:.0f} s")
    print(f"{cuts - failed} cuts pass, {failed} failed; all cuts pass in {whole} of {len(split)} networks")
    writes = sorted(count for outcome in found for count in outcome.writes)
    if writes:
        print(f"a switch writes {writes[0]} to {writes[-1]} registers, {median(writes):g} in the median")
    return 1 if failed else 0


def judge_case(folder: Path, free: bool) -> Outcome:
    """Every legal cut of a case on its sample, twice: configured from junk, and switched."""
    try:
        device = device_of_case(folder)
        case = load_case(folder, device)
        if free:
            network = complete(forget_places(case.network), device, no_columns_occupied(device))
            case = replace(case, network=network, overlap=False)
    except OfframpError as error:
        return Outcome(folder.name, refused=str(error.problems[0]))
    shape = case.network.layers[-1].out_shape
    final = np.load(folder / "outputs.npz", allow_pickle=False)["final"].astype(np.int32)
    answer = final.reshape(shape.channels, shape.rows, shape.cols)
    cuts = legal_cuts(case.network)
    answers = [answer, _again(case, answer)]
    judged = [_judge(case, after, answers, device) for after in cuts]
    lines = [f"cut after layer {after}: {'; '.join(bad)}" for after, (bad, _) in zip(cuts, judged, strict=True) if bad]
    writes = tuple(count for _, own in judged for count in own)
    return Outcome(folder.name, len(boundaries(case.network)), len(cuts), tuple(lines), writes)


def _again(case: Case, answer: Answer) -> Answer:
    """The answer to the same input a second time: with rolling buffers that of the reference."""
    if not case.network.buffers:
        return answer
    last = case.network.layers[-1].index
    second: Answer = run_in_order(case.network, np.stack([case.sample] * 2))[last][1].astype(np.int32)
    return second


def _judge(
    case: Case, after: int, answers: Sequence[Answer], device: Device
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """What is wrong with a cut, and what its switches write."""
    try:
        placed = place(cut("network", case.network, after), device, case.overlap)
        switching = lower(placed).switching
        writes = tuple(len(switching.transition(*pair)) for pair in ((0, 1), (1, 0)))
        rng = np.random.default_rng(after)
        return judge_both_ways(placed, [case.sample] * 2, answers, rng, case.overlap), writes
    except OfframpError as error:
        return (str(error),), ()


if __name__ == "__main__":
    raise SystemExit(main())
