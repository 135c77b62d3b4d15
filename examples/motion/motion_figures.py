"""The table of README.md: main, the chain and single networks, on people whom none of them has seen.

    python motion_figures.py

plans the specs of this folder and gives them the test set, by the integer reference. Costs are of whole answers, as
`offramp build` reports them: estimated, not measured.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import offramp

FOLDER = Path(__file__).parent
SPECS = {
    "main alone": "alone.yaml",
    "the chain": "spec.yaml",
    "three stages": "stages.yaml",
    "front-6 alone": "front-alone.yaml",
    "single-4 alone": "single-alone.yaml",
}
PICOJOULES = 10**6  # of a microjoule


@dataclass(frozen=True, eq=False)
class Tried:
    """What an application did with the windows of the test set: names of its stages, the one that answered, whether it
    was right, what that cost; all (N,)."""

    stages: tuple[str, ...]
    stage: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    cycles: npt.NDArray[np.float64]
    microjoules: npt.NDArray[np.float64]


def load_test() -> dict[str, npt.NDArray[np.int64]]:
    """Arrays of the test set."""
    with np.load(FOLDER / "test.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("x", "y", "groups")}


def try_spec(name: str) -> Tried:
    """Plan one of this folder's specs and give it the test set."""
    planned = offramp.plan(FOLDER / name)
    test = load_test()
    answers = offramp.reference(planned, test["x"].astype(np.int8))
    stage = answers.exit_index
    return Tried(
        stages=answers.stages,
        stage=stage,
        right=answers.answers == test["y"],
        cycles=np.array(planned.cycles.cost_by_exit, np.float64)[stage],
        microjoules=np.array(planned.energy.cost_by_exit, np.float64)[stage] / PICOJOULES,
    )


def row(name: str, one: Tried, alone: Tried, people: npt.NDArray[np.int64]) -> str:
    """A line of the table. `people`: who a window is of, (N,)."""
    cells = [
        name,
        f"{one.cycles.mean():,.0f}",
        f"{alone.cycles.mean() / one.cycles.mean():.2f}",
        f"{one.microjoules.mean():.2f}",
        f"{one.right.mean():.2%}",
        *(f"{one.right[people == person].mean():.2%}" for person in np.unique(people)),
    ]
    return f"| {' | '.join(cells)} |"


def print_table(tried: dict[str, Tried], people: npt.NDArray[np.int64]) -> None:
    """One line an application, then who leaves where in the chains."""
    heads = [f"person {person}" for person in np.unique(people)]
    names = ["", "mean cycles", "main / it", "mean uJ", "right", *heads]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for name, one in tried.items():
        print(row(name, one, tried["main alone"], people))
    print("\n| | leaves at | share | right there | cycles |\n| --- | --- | --- | --- | --- |")
    for name, one in tried.items():
        if len(one.stages) > 1:
            for number, stage in enumerate(one.stages):
                print(leaving(name, one, number, stage))


def leaving(name: str, one: Tried, number: int, stage: str) -> str:
    """A line about a stage of a chain."""
    here = one.stage == number
    if not here.any():
        return f"| {name} | {stage} | 0.0% | | |"
    return f"| {name} | {stage} | {here.mean():.1%} | {one.right[here].mean():.2%} | {one.cycles[here].max():,.0f} |"


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    try:
        print_table({name: try_spec(spec) for name, spec in SPECS.items()}, load_test()["groups"])
    except offramp.OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
