"""Would an early exit do better if it looked at more than one input of a stream? A replay on the integer reference.

    python -m bench.patience [SPEC]

The spec has `exits: auto`; each of its candidates is taken as the only stage before main. The inputs of a data set
follow one another as a device sees them; answers are remembered from one to the next. The rules (n = 1 is the plain one
in all of them: leave if the margin reaches a threshold):

- row: besides, the stage's answer is what it was for the n - 1 inputs before;
- either: or it is, and the margin reaches a second, lower threshold;
- given: or it is the application's last n - 1 answers, whichever stage they came from, and the margin reaches a lower
  threshold (the idea of temporal patience: Sponner et al., 2023, arXiv:2309.05686);
- sum: the margins of the last n inputs, as long as the stage's answers are the same, together reach the threshold.

Thresholds are those with the fewest mean cycles of a whole answer within a limit: of points of accuracy lost against
main, or of `lost` inputs, which main has right and the chain wrong: what `risk` limits.
`hindsight`: chosen on the test data themselves, so at equal loss, for the plain rule too; two thresholds have more to
choose from, which favours patience. `chosen`: on the calibration data, then tried on the test data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

import offramp
from offramp.pipeline.chains import TEST_DATA
from offramp.pipeline.evaluate import evaluate
from offramp.pipeline.planning import Planned
from offramp.planner.exits.candidates import chosen_spec
from offramp.planner.spec.dataset import load_data
from offramp.planner.spec.spec import AutoSpec, StageSpec

EXAMPLE = Path(__file__).parents[1] / "examples" / "motion" / "spec.yaml"
LIMITS = (("accuracy", 0.0), ("accuracy", 1.0), ("lost", 1.0))  # and per cent of the inputs
MOST = 4  # inputs that are looked at
GRID = 40  # thresholds that are tried; both together, where a rule has two
UNREACHED = 1 << 62

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Stream:
    """N inputs in order. `early`, `late`: answers of the stage and of main; `margin`: of the stage's logits; `y`:
    labels; all (N,). `cycles`: of a whole answer that leaves at the stage, and of one that does not."""

    early: Ints
    late: Ints
    margin: Ints
    y: Ints
    cycles: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Tried:
    """Settings of a rule on a stream: mean cycles, and by kind what is lost against main in per cent of the inputs,
    (settings,)."""

    cycles: npt.NDArray[np.float64]
    loss: Mapping[str, npt.NDArray[np.float64]]

    def best(self, kind: str, limit: float) -> int:
        """The cheapest setting within a limit; a setting with which nothing leaves is always there."""
        return int(np.where(self.loss[kind] <= limit + 1e-9, self.cycles, np.inf).argmin())


Rule = Callable[[Stream, Ints, Ints], Bools]  # of a stream and two thresholds (settings,): leaves, (settings, N)


def same_before(answers: Ints) -> Ints:
    """How many inputs before each one, without a gap, had its answer."""
    found = np.zeros(len(answers), np.int64)
    for at in range(1, len(answers)):
        found[at] = found[at - 1] + 1 if answers[at] == answers[at - 1] else 0
    return found


def row(n: int, stream: Stream, high: Ints, low: Ints) -> Bools:
    """Sure enough, and the same answer n times."""
    return (stream.margin >= high[:, None]) & (same_before(stream.early) >= n - 1)


def either(n: int, stream: Stream, high: Ints, low: Ints) -> Bools:
    """Sure enough, or less sure and the same answer n times."""
    patient = same_before(stream.early) >= n - 1
    return (stream.margin >= high[:, None]) | ((stream.margin >= low[:, None]) & patient & (n > 1))


def given(n: int, stream: Stream, high: Ints, low: Ints) -> Bools:
    """Sure enough, or less sure and what the application answered n - 1 times. What it answers depends on who left, so
    this goes input by input."""
    leaves = np.zeros((len(high), len(stream.early)), np.bool_)
    last, times = np.full(len(high), -1), np.zeros(len(high), np.int64)
    for at, (answer, margin) in enumerate(zip(stream.early, stream.margin, strict=True)):
        patient = (last == answer) & (times >= n - 1) & (n > 1)
        leaves[:, at] = (margin >= high) | ((margin >= low) & patient)
        said = np.where(leaves[:, at], answer, stream.late[at])
        times = np.where(said == last, times + 1, 1)
        last = said
    return leaves


def summed(n: int, stream: Stream, high: Ints, low: Ints) -> Bools:
    """Margins of up to n inputs with the same answer, together."""
    before = same_before(stream.early)
    total = stream.margin.copy()
    for back in range(1, n):
        total[back:] += np.where(before[back:] >= back, stream.margin[: -back or None], 0)
    return total >= high[:, None]


RULES: dict[str, tuple[Callable[[int, Stream, Ints, Ints], Bools], bool]] = {  # and whether `low` means something
    "row": (row, False),
    "either": (either, True),
    "given": (given, True),
    "sum": (summed, False),
}


def settings(stream: Stream, n: int, two: bool) -> tuple[Ints, Ints]:
    """Thresholds to be tried, the last of them never reached; with `two` all pairs with the lower one lower."""
    steps = np.quantile(stream.margin, np.linspace(0, 1, GRID), method="nearest")
    if not two:
        steps = np.concatenate([np.unique(stream.margin) * part for part in range(1, n + 1)])
    values = np.unique(np.concatenate([steps.astype(np.int64), [0, UNREACHED]]))
    if not two or n == 1:
        return values, np.full_like(values, UNREACHED)
    high, low = np.meshgrid(values, values)
    keep = low <= high
    return high[keep], low[keep]


def try_rule(stream: Stream, rule: Rule, high: Ints, low: Ints) -> Tried:
    """All settings on a stream."""
    leaves = rule(stream, high, low)
    share = leaves.mean(axis=1)
    sooner, later = stream.early == stream.y, stream.late == stream.y
    loss = {
        "accuracy": 100 * (later.mean() - np.where(leaves, sooner, later).mean(axis=1)),
        "lost": 100 * (leaves & later & ~sooner).mean(axis=1),
    }
    early, late = stream.cycles
    return Tried(share * early + (1 - share) * late, loss)


def streams_of(spec: AutoSpec) -> dict[str, tuple[Stream, Stream]]:
    """Of every candidate that has its place: the calibration data and the test data."""
    found = {}
    for candidate in spec.choice.candidates:
        if isinstance(candidate, StageSpec):
            opened = replace(candidate, exit=replace(candidate.exit, threshold=1.0))
            planned = offramp.plan(chosen_spec(spec, [opened], ["margin"]))
            found[candidate.name] = stream_of(planned, spec, spec.choice.data), stream_of(planned, spec, TEST_DATA)
    return found


def stream_of(planned: Planned, spec: AutoSpec, name: str) -> Stream:
    """A data set of the spec through both stages."""
    network = planned.chain.networks[spec.choice.main]
    data = load_data(name, spec.data[name], network.input_shape, network.layers[-1].out_shape.channels)
    run = evaluate(planned.chain, data).profiled
    costs = planned.cycles.cost_by_exit
    return Stream(run.answers[0], run.answers[1], run.confidence[0].astype(np.int64), data.y, (costs[0], costs[1]))


def lines_of(name: str, calibration: Stream, test: Stream) -> list[str]:
    """Rows of the table, of one candidate."""
    rows = []
    plain = _figures(calibration, test, "row", 1)
    for rule in RULES:
        for n in range(1 if rule == "row" else 2, MOST + 1):
            cells = [name, "plain" if n == 1 else rule, str(n)]
            for (cycles, chosen, loss), (before, _, _) in zip(_figures(calibration, test, rule, n), plain, strict=True):
                cells += [f"{cycles:,.0f}", f"{100 * (cycles / before - 1):+.1f}%", f"{chosen:,.0f}", f"{loss:+.2f}"]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def _figures(calibration: Stream, test: Stream, name: str, n: int) -> list[tuple[float, float, float]]:
    """For every limit the cycles in hindsight, and cycles and loss on test data with what calibration chose."""
    make, two = RULES[name]
    rule = partial(make, n)
    own, other = settings(test, n, two), settings(calibration, n, two)
    hindsight, calibrated, tried = (
        try_rule(stream, rule, *chosen) for stream, chosen in ((test, own), (calibration, other), (test, other))
    )
    found = []
    for kind, limit in LIMITS:
        at = calibrated.best(kind, limit)
        cycles = float(hindsight.cycles[hindsight.best(kind, limit)])
        found.append((cycles, float(tried.cycles[at]), float(tried.loss[kind][at])))
    return found


def print_table(streams: Mapping[str, tuple[Stream, Stream]]) -> None:
    """For every limit: cycles in hindsight and how many more than the plain rule; chosen: cycles and what is lost."""
    head = ["first stage", "rule", "n"]
    for kind, limit in LIMITS:
        head += [f"{kind} {limit:g} %: hindsight", "", "chosen", "lost then"]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name, (calibration, test) in streams.items():
        print("\n".join(lines_of(name, calibration, test)))


def main(arguments: Sequence[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path, nargs="?", default=EXAMPLE)
    args = parser.parse_args(arguments)
    try:
        spec = offramp.load_spec(args.spec)
        if not isinstance(spec, AutoSpec):
            parser.error(f"{args.spec} names its stages; one with `exits: auto` is needed")
        if TEST_DATA not in spec.data:
            parser.error(f"{args.spec} has no `test` data")
        print_table(streams_of(spec))
    except offramp.OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
