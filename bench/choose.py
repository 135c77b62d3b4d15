"""Time of choosing stages and thresholds on 2,000 images, and what the choice gives: candidates of the MNIST example.

    python -m bench.choose [SPEC] [--images N]

The data sets of the spec are repeated up to the number of images, so only the times mean anything on other data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from offramp.configs.device import load_device
from offramp.host.progress import SILENT
from offramp.pipeline.choosing import Builder
from offramp.planner.chain.sources import read_sources
from offramp.planner.exits.candidates import load_candidates, profile_candidates
from offramp.planner.exits.choose import choose
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import AutoSpec

EXAMPLE = Path(__file__).parents[1] / "examples" / "mnist" / "auto.yaml"

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description="time the choice of stages and thresholds")
    parser.add_argument("spec", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--images", type=int, default=2000)
    args = parser.parse_args()
    spec, device = load_spec(args.spec, load_device()), load_device()
    if not isinstance(spec, AutoSpec):
        parser.error(f"{args.spec} names its stages; one with `exits: auto` is needed")
    sources = _timed("networks and checkpoints", lambda: read_sources(spec, device))
    candidates = _timed("candidates at their cuts", lambda: load_candidates(spec, sources, device))
    builder = _timed("the first chains placed", lambda: Builder(candidates, sources, device, SILENT))
    data = _images(list(spec.data.values()), args.images)
    profiles, full = _timed(f"integer reference, {args.images:,} images", lambda: profile_candidates(candidates, data))
    costs = builder.costs()
    goals = {"empirical": replace(spec.choice, delta=None), "guaranteed, delta 0.05": replace(spec.choice, delta=0.05)}
    for name, goal in goals.items():
        try:
            choice = _timed(f"choice, {name}", partial(choose, goal, profiles, full, costs, builder.place))
        except ValueError as error:
            print(f"no choice, {name}: {error}")
            continue
        chosen = choice.chosen
        shown = f"{chosen.means['cycles']:,.0f} cycles, {chosen.means['energy']:.1f} uJ, {chosen.accuracy:.2%}"
        print(f"  {' > '.join(chosen.stages)}: {shown} ({choice.method}; {len(costs)} chains)")


def _images(files: list[Path], count: int) -> DataSet:
    parts = [dict(np.load(file)) for file in files]
    x, y = (np.concatenate([part[key] for part in parts]) for key in ("x", "y"))
    kept = np.arange(count) % len(y)
    return DataSet("repeated", x[kept], y[kept].astype(np.int64))


def _timed(name: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    result = work()
    print(f"{name:<40} {time.perf_counter() - start:7.2f} s")
    return result


if __name__ == "__main__":
    main()
