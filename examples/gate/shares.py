"""What a picture costs, and how often the answer is right, where most pictures are nothing.

The test set is one half nothing. Here its items and its digits get weights, so that nothing has the share that is asked
for. Costs are of whole answers, as `offramp build` reports them: estimated, not measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import offramp

sys.path.append(str(Path(__file__).resolve().parent.parent))  # modules that the examples share

import figures

Tried = figures.Tried
FOLDER = Path(__file__).parent
NOTHING = 0
SHARES = (0.5, 0.9, 0.99)

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """Means where pictures are nothing with probability `share`."""

    share: float
    early: float  # answered by the first stage, 0..1
    right: float  # 0..1
    cycles: float
    microjoules: float


def load_nothing() -> Bools:
    """Which pictures of the test set are items, (N,)."""
    with np.load(FOLDER / "test.npz", allow_pickle=False) as arrays:
        nothing: Bools = arrays["y"] == NOTHING
    return nothing


def try_spec(name: str) -> Tried:
    """Plan one of this folder's specs and give it the test set, by the integer reference."""
    return figures.try_spec(FOLDER / name)


def weigh(tried: Tried, nothing: Bools, share: float) -> Row:
    """Means over items with the weight `share` and digits with the rest. `nothing`: (N,), the picture is an item."""
    weights = np.where(nothing, share / nothing.sum(), (1 - share) / (~nothing).sum())
    of = (tried.stage == 0, tried.right, tried.cycles, tried.microjoules)
    early, right, cycles, microjoules = (float((weights * values).sum()) for values in of)
    return Row(share, early, right, cycles, microjoules)


def print_table(gated: Tried, alone: Tried, nothing: Bools, shares: Sequence[float]) -> None:
    """Items and digits one by one, then mixed."""
    for name, chosen in (("items", nothing), ("digits", ~nothing)):
        print(
            f"{chosen.sum()} {name}: {(gated.stage == 0)[chosen].mean():.2%} answered by the gate, "
            f"{gated.right[chosen].mean():.2%} right, by main alone {alone.right[chosen].mean():.2%}"
        )
    costs = (gated.cycles[gated.stage == 0], gated.cycles[gated.stage == 1], alone.cycles)
    early, late, full = (values.max(initial=0) for values in costs)
    print(f"cycles of an answer: the gate's {early:,.0f}, main's behind it {late:,.0f}, main alone {full:,.0f}")
    print("\n| nothing | gate answers | right | main alone right | mean cycles | full / mean | mean uJ | full / mean |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for share in shares:
        row, whole = weigh(gated, nothing, share), weigh(alone, nothing, share)
        print(
            f"| {share:.0%} | {row.early:.1%} | {row.right:.2%} | {whole.right:.2%} | {row.cycles:,.0f} "
            f"| {whole.cycles / row.cycles:.2f} | {row.microjoules:.2f} | {whole.microjoules / row.microjoules:.2f} |"
        )


def percent(text: str) -> float:
    """A share of 0 to 100 %, as 0..1."""
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: 0 to 100, in per cent, is expected")
    return value / 100


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python shares.py 50 90 99")
    parser.add_argument(
        "shares", nargs="*", type=percent, default=SHARES, metavar="PERCENT", help="that is nothing; 50 90 99"
    )
    shares = parser.parse_args(arguments).shares
    try:
        print_table(try_spec("spec.yaml"), try_spec("alone.yaml"), load_nothing(), shares)
    except offramp.OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
