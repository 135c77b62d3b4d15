"""The table of an example's README: what each of its specs costs on average, and how often it is right.

    python examples/figures.py examples/mnist/alone.yaml examples/mnist/spec.yaml [--test build/mnist-data/test.npz]

plans the specs and gives them a test set, by the integer reference; the others are compared with the first spec.
Without --test it is the file test.npz beside each spec. Costs are of whole answers, as `offramp build` reports them:
estimated, not measured.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import offramp

PICOJOULES = 10**6  # of a microjoule


@dataclass(frozen=True, eq=False)
class Tried:
    """What an application did with the samples of a test set: names of its stages, and (N,) the one that answered,
    whether it was right, what that cost."""

    stages: tuple[str, ...]
    stage: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    cycles: npt.NDArray[np.float64]
    microjoules: npt.NDArray[np.float64]


def try_spec(spec: Path, test: Path | None = None) -> Tried:
    """Plan a spec and give it a test set, by default its own."""
    planned = offramp.plan(spec)
    with np.load(test or spec.parent / "test.npz", allow_pickle=False) as arrays:
        x, y = arrays["x"], arrays["y"]
    answers = offramp.reference(planned, x)
    stage = answers.exit_index
    return Tried(
        stages=answers.stages,
        stage=stage,
        right=answers.answers == y,
        cycles=np.array(planned.cycles.cost_by_exit, np.float64)[stage],
        microjoules=np.array(planned.energy.cost_by_exit, np.float64)[stage] / PICOJOULES,
    )


def row(name: str, one: Tried, alone: Tried) -> str:
    """A line of the table."""
    cells = [
        f"`{name}`",
        ", ".join(one.stages),
        f"{one.cycles.mean():,.0f}",
        f"{alone.cycles.mean() / one.cycles.mean():.2f}",
        f"{one.microjoules.mean():.2f}",
        f"{one.right.mean():.2%}",
    ]
    return f"| {' | '.join(cells)} |"


def leaving(name: str, one: Tried, number: int, stage: str) -> str:
    """A line about a stage of a chain."""
    here = one.stage == number
    if not here.any():
        return f"| `{name}` | {stage} | 0.0% | | |"
    return f"| `{name}` | {stage} | {here.mean():.1%} | {one.right[here].mean():.2%} | {one.cycles[here].max():,.0f} |"


def print_tables(tried: dict[str, Tried]) -> None:
    """One line a spec, then who leaves where in those of several stages."""
    first, alone = next(iter(tried.items()))
    names = ["spec", "stages", "mean cycles", f"`{first}` / it", "mean uJ", f"right, of {len(alone.right):,}"]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for name, one in tried.items():
        print(row(name, one, alone))
    print("\n| spec | leaves at | share | right there | cycles |\n| --- | --- | --- | --- | --- |")
    for name, one in tried.items():
        if len(one.stages) > 1:
            for number, stage in enumerate(one.stages):
                print(leaving(name, one, number, stage))


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", type=Path, nargs="+", metavar="SPEC", help="specs; test.npz lies beside them")
    parser.add_argument("--test", type=Path, metavar="FILE", help="another test set for all of them")
    args = parser.parse_args(arguments)
    try:
        print_tables({spec.name: try_spec(spec, args.test) for spec in args.specs})
    except (offramp.OfframpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
