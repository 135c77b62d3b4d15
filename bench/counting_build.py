"""What the core does in one inference of a built firmware, part by part."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.counting import PARTS, Form, Work, count, total
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.devices import device_of_plan
from offramp.planner.plan import load_plan
from offramp.planner.reference.profile import exit_indices, profile
from offramp.simulator.accelerator import Accelerator

IMAGES = 200  # test images among which those are looked for that leave at each stage


def count_build(build: Path) -> dict[str, Mapping[str, Work]]:
    """The parts of an inference that leaves at each stage at which one of the first test images leaves. The inference
    before each left at the first stage, so that no switch back is among them."""
    path = build / "plan.json"
    device = device_of_plan(path)
    plan = load_plan(path, device)
    x = data_set(plan.spec, plan.chain, TEST_DATA).x[:IMAGES]
    stages = exit_indices(plan.chain, profile(plan.chain, x))
    names = {stage: plan.chain.stages[stage].name for stage in np.unique(stages).tolist()}
    first = x[stages == min(names)][0]
    images = [image for stage in names for image in (first, first, x[stages == stage][0])]
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "firmware"
        shutil.copytree(build / "firmware", sources)
        form = Form("OFFRAMP_CHW", x.shape[2] * x.shape[3])
        found = count(sources, [image.tobytes() for image in images], Accelerator(device), device, form)
    return dict(zip(names.values(), found[2::3], strict=True))


def table(found: Mapping[str, Mapping[str, Work]]) -> Sequence[str]:
    """Lines of text: instructions, and how many of them are accesses to the accelerator."""
    heads = "".join(f" {f'leaves at {name}':>26}" for name in found)
    cells = [(part, [parts[part] for parts in found.values()]) for part in PARTS]
    cells.append(("together", [total(parts) for parts in found.values()]))
    rows = [
        f"{name:<20}" + "".join(f" {work.instructions:>12,} {work.reads + work.writes:>13,}" for work in works)
        for name, works in cells
    ]
    return [f"{'':<20}{heads}", f"{'':<20}" + f" {'instructions':>12} {'of them bus':>13}" * len(found), *rows]


def print_build(build: Path) -> None:
    """The table of one build."""
    print(build)
    print("\n".join(table(count_build(build))))
