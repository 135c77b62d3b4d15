"""The table of README.md: main, the chain and single networks, on people whom none of them has seen.

    python motion_figures.py

plans the specs of this folder and gives them the test set, by the integer reference. Costs are of whole answers, as
`offramp build` reports them: estimated, not measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

import offramp

sys.path.append(str(Path(__file__).resolve().parent.parent))  # modules that the examples share

import figures

Tried = figures.Tried
FOLDER = Path(__file__).parent
SPECS = {
    "main alone": "alone.yaml",
    "the chain": "spec.yaml",
    "three stages": "stages.yaml",
    "front-6 alone": "front-alone.yaml",
    "single-4 alone": "single-alone.yaml",
}


def load_people() -> npt.NDArray[np.int64]:
    """Whom the windows of the test set are of, (N,)."""
    with np.load(FOLDER / "test.npz", allow_pickle=False) as arrays:
        people: npt.NDArray[np.int64] = arrays["groups"]
    return people


def try_spec(name: str) -> Tried:
    """Plan one of this folder's specs and give it the test set."""
    return figures.try_spec(FOLDER / name)


def row(name: str, one: Tried, alone: Tried, people: npt.NDArray[np.int64]) -> str:
    """A line of the table. `people`: who a window is of, (N,)."""
    by_person = (f"{one.right[people == person].mean():.2%}" for person in np.unique(people))
    return figures.line([name, *figures.figures(one, alone), *by_person])


def print_table(tried: Mapping[str, Tried], people: npt.NDArray[np.int64]) -> None:
    """One line an application, then who leaves where in the chains."""
    heads = [f"person {person}" for person in np.unique(people)]
    figures.print_heads(["", "mean cycles", "main / it", "mean uJ", "right", *heads])
    for name, one in tried.items():
        print(row(name, one, tried["main alone"], people))
    figures.print_leaving(tried)


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    try:
        print_table({name: try_spec(spec) for name, spec in SPECS.items()}, load_people())
    except offramp.OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
