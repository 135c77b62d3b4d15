"""The table of an example's README: what each of its specs costs on average, and how often it is right.

    python examples/figures.py examples/mnist/alone.yaml examples/mnist/spec.yaml [--test build/mnist-data/test.npz]

plans the specs and gives them a test set, by the integer reference; the others are compared with the first spec.
Without --test it is the file test.npz beside each spec. Costs are of whole answers, as `offramp build` reports them:
estimated, not measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
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


def figures(one: Tried, alone: Tried) -> list[str]:
    """Mean cycles, how many times fewer than those of `alone`, mean energy, share of right answers."""
    return [
        f"{one.cycles.mean():,.0f}",
        f"{alone.cycles.mean() / one.cycles.mean():.2f}",
        f"{one.microjoules.mean():.2f}" if one.microjoules.any() else "-",  # some devices have no model of it
        f"{one.right.mean():.2%}",
    ]


def line(cells: Sequence[str]) -> str:
    """Of a table."""
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def print_heads(names: Sequence[str]) -> None:
    """The first two lines of a table."""
    print(f"{line(names)}\n|{' --- |' * len(names)}")


def print_leaving(tried: Mapping[str, Tried], head: str = "") -> None:
    """Who leaves where in chains of several stages. `head`: of the column with the names."""
    print()
    print_heads([head, "leaves at", "share", "right there", "cycles"])
    for name, one in tried.items():
        for number, stage in enumerate(one.stages if len(one.stages) > 1 else ()):
            print(line([name, stage, *_left(one, one.stage == number)]))


def _left(one: Tried, here: npt.NDArray[np.bool_]) -> list[str]:
    if not here.any():
        return ["0.0%", "", ""]
    return [f"{here.mean():.1%}", f"{one.right[here].mean():.2%}", f"{one.cycles[here].max():,.0f}"]


def print_tables(tried: Mapping[str, Tried]) -> None:
    """One line a spec, then who leaves where in those of several stages."""
    first, alone = next(iter(tried.items()))
    print_heads(["spec", "stages", "mean cycles", f"{first} / it", "mean uJ", f"right, of {len(alone.right):,}"])
    for name, one in tried.items():
        print(line([name, ", ".join(one.stages), *figures(one, alone)]))
    print_leaving(tried, "spec")


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", type=Path, nargs="+", metavar="SPEC", help="specs; test.npz lies beside them")
    parser.add_argument("--test", type=Path, metavar="FILE", help="another test set for all of them")
    args = parser.parse_args(arguments)
    try:
        print_tables({f"`{spec.name}`": try_spec(spec, args.test) for spec in args.specs})
    except (offramp.OfframpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
