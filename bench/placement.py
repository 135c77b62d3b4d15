"""Weight placement of corpus networks that share the accelerator: ours against first fit in the vendor's manner.

    python -m bench.placement [CORPUS] [--triples N]
    python -m bench.placement --free [CORPUS]
    python -m bench.placement --minimalloc FOLDER

Every pair and every triple of networks whose kernels could fit by their bytes is placed twice. In the vendor's manner
each network is placed greedily, layer by layer (those on all processors first), from a start column above the networks
before it, in the best of all orders. `--triples N`: only so many, evenly spaced in the list of all. `--free`: with
processors to be chosen. `--minimalloc`: activations instead, the instances that google/minimalloc publishes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from pathlib import Path
from statistics import median
from typing import Any

from bench.absent import absent
from bench.placement_free import report_free
from bench.placement_minimalloc import report_minimalloc
from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible, OfframpError
from offramp.planner.placement.check import check
from offramp.planner.placement.problem import Objective, Problem, WeightBlock
from offramp.planner.placement.solve import solve

FAMILIES = ("network", "network-synthetic", "network-variant")


@dataclass(frozen=True)
class Outcome:
    """One set of networks. Highest columns, ours and the vendor's, are None where nothing was placed."""

    networks: tuple[str, ...]
    ours: Objective | None
    vendor: int | None
    decided: bool  # placed, or impossibility proved
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "corpus")
    parser.add_argument("--triples", type=int, metavar="N", help="place so many triples only")
    parser.add_argument("--minimalloc", type=Path, metavar="FOLDER", help="place instances of google/minimalloc")
    parser.add_argument("--free", action="store_true", help="with processors to be chosen")
    arguments = parser.parse_args()
    if arguments.minimalloc:
        return report_minimalloc(arguments.minimalloc, empty_problem())
    if not (arguments.corpus / "cases").is_dir():
        return absent(arguments.corpus, "corpus")
    networks = dict(distinct_networks(arguments.corpus))
    print(f"{len(networks)} networks with distinct kernel layouts: {' '.join(networks)}")
    triples = list(fitting(networks, 3))
    step = 1 if arguments.triples is None else max(1, len(triples) // max(1, arguments.triples))
    sets = {"pairs": list(fitting(networks, 2)), "triples": triples[::step][: arguments.triples]}
    if arguments.free:
        report_free(arguments.corpus, networks, sets, empty_problem())
        return 0
    for title, names in sets.items():
        report(title, networks, names)
    return 0


def distinct_networks(corpus: Path) -> Iterator[tuple[str, tuple[WeightBlock, ...]]]:
    """Name and weight blocks of the corpus networks; of those with equal blocks the first."""
    seen = set()
    for meta_file in sorted(corpus.glob("cases/*/meta.json")):
        meta = json.loads(meta_file.read_text())
        if meta["family"] not in FAMILIES:
            continue
        blocks = tuple(weight_block(meta["name"], layer) for layer in meta["layers"] if layer["has_weights"])
        shape = tuple((block.processors, block.columns) for block in blocks)
        if blocks and shape not in seen:
            seen.add(shape)
            yield meta["name"], blocks


def weight_block(network: str, layer: dict[str, Any]) -> WeightBlock:
    """Kernel columns of a corpus layer: kernels x bytes per kernel x bits, in columns of 9 bytes."""
    expansions = -(-layer["out_channels"] // 64)
    passes = -(-layer["in_channels"] // 64)
    outputs = int(layer["output_processors"], 16)
    first = (outputs & -outputs).bit_length() - 1
    span = outputs.bit_length() - first // 4 * 4
    slots = span * expansions
    if layer["flatten"]:  # the last output pass stops at the last output
        slots -= expansions * outputs.bit_count() - layer["out_channels"]
    pixels = layer["pooled_dim"][0] * layer["pooled_dim"][1] if layer["flatten"] else 1
    bits = slots * passes * pixels * kernel_bytes(layer) * layer["quantization"]
    return WeightBlock(f"{network}/{layer['index']}", int(layer["processors"], 16), -(-bits // 72))


def kernel_bytes(layer: dict[str, Any]) -> int:
    """Weights of one kernel as the hardware stores it; a long dilated 1-D kernel becomes a 3x3 one."""
    if layer["flatten"] or layer["op"] == "linear":
        return 1
    if layer["emulated_3x3"]:
        return 9
    if layer["op"] == "conv1d":
        return int(min((layer["kernel_size"][0] - 1) * layer["dilation"][0] + 1, 9))
    rows, cols = layer["kernel_size"]
    return int(rows * cols)


def fitting(networks: dict[str, tuple[WeightBlock, ...]], count: int) -> Iterator[tuple[str, ...]]:
    """Sets of networks whose kernels are not more than the weight memory holds."""
    problem = empty_problem()
    for names in combinations(networks, count):
        blocks = [block for name in names for block in networks[name]]
        if sum(block.columns * block.processors.bit_count() for block in blocks) <= 64 * problem.columns:
            yield names


def empty_problem() -> Problem:
    device = load_device()
    return Problem(
        weights=(),
        biases=(),
        data=(),
        columns=device.memories["weights"].words,
        start_multiple=device.weight_start_multiple,
        bias_bytes=device.memories["bias"].words,
        data_words=device.memories["data"].words,
    )


def measure(names: tuple[str, ...], parts: Sequence[tuple[WeightBlock, ...]]) -> Outcome:
    """Place the networks both ways; a placement that breaks a rule ends the benchmark."""
    problem = replace(empty_problem(), weights=tuple(block for part in parts for block in part))
    heights = [vendor_height(order, problem) for order in permutations(parts)]
    vendor = min((height for height in heights if height is not None), default=None)
    begin = time.perf_counter()
    try:
        placement = solve(problem)
    except Infeasible:
        return Outcome(names, None, vendor, True, time.perf_counter() - begin)
    except OfframpError:
        return Outcome(names, None, vendor, False, time.perf_counter() - begin)
    seconds = time.perf_counter() - begin
    violations = check(problem, placement)
    if violations:
        raise SystemExit(f"{names}: {violations[0].message}")
    return Outcome(names, placement.highest, vendor, True, seconds)


def vendor_height(parts: Iterable[Sequence[WeightBlock]], problem: Problem) -> int | None:
    """Highest column of first fit, each network above the ones before it; None if it does not fit."""
    everywhere = (1 << 64) - 1
    step = problem.start_multiple
    height = 0
    for part in parts:
        base = -(-height // step) * step
        placed: list[tuple[int, WeightBlock]] = []
        for block in sorted(part, key=lambda block: block.processors != everywhere):
            start = base
            rivals = [(low, other) for low, other in placed if other.processors & block.processors]
            while any(low < start + block.columns and start < low + other.columns for low, other in rivals):
                start += step
            if start + block.columns > problem.columns:
                return None
            placed.append((start, block))
            height = max(height, start + block.columns)
    return height


def report(title: str, networks: dict[str, tuple[WeightBlock, ...]], sets: list[tuple[str, ...]]) -> None:
    outcomes = [measure(names, [networks[name] for name in names]) for names in sets]
    seconds = [outcome.seconds for outcome in outcomes]
    ours = [outcome.ours for outcome in outcomes if outcome.ours is not None]
    vendor = [outcome for outcome in outcomes if outcome.vendor is not None]
    ratios = [o.ours.value / o.vendor for o in outcomes if o.ours is not None and o.vendor is not None]
    decided = sum(outcome.decided for outcome in outcomes)
    impossible = sum(outcome.decided and outcome.ours is None for outcome in outcomes)
    print(f"\n{title}: {len(outcomes)} sets whose bytes fit")
    print(f"  placed: ours {len(ours)}, vendor's manner {len(vendor)} ({len(ours) / max(1, len(vendor)):.3f} x)")
    print(f"  decided: {decided} of {len(outcomes)} ({impossible} proved impossible)")
    gap = max((one.value / one.bound - 1 for one in ours), default=0)
    proved = sum(one.optimal for one in ours)
    print(f"  highest column: the least proved for {proved} of {len(ours)} placed; largest gap {gap:.2%}")
    spread = f"median {median(seconds) * 1e3:.1f} ms, max {max(seconds):.2f} s, all {sum(seconds):.1f} s"
    print(f"  solve time: {spread}")
    if ratios:
        lower = sum(ratio < 1 for ratio in ratios)
        spread = f"median {median(ratios):.3f}, lowest {min(ratios):.3f}"
        print(f"  highest column, ours / vendor's: {spread}, below 1 in {lower} of {len(ratios)}")
    for outcome in outcomes:
        open_gap = outcome.ours is not None and not outcome.ours.optimal
        if not outcome.decided or outcome.seconds > 1 or open_gap:
            state = "decided" if outcome.decided else "not decided"
            print(f"  {' + '.join(outcome.networks)}: {state}, {outcome.seconds:.2f} s, {outcome.ours}")


if __name__ == "__main__":
    sys.exit(main())
