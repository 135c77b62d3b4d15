"""What a firmware's instructions are spent on, summed up: by part, by function, by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offramp.pipeline.tracing import run_name
from offramp.simulator.board.meter import OUTSIDE
from offramp.simulator.board.profile import DECIDE, NOBODY, RESULT, START, SWITCH, WAIT, Part, Profiler

SOURCE = "counted on the virtual board"


@dataclass(frozen=True)
class PartSum:
    """A part of all images together, or of what is outside images. `times`: how often it came."""

    name: str
    times: int
    instructions: int


@dataclass(frozen=True)
class FunctionSum:
    """A function with what was inlined into it. `calls`: how often its first instruction was executed. `outside`:
    instructions for no image, such as start-up."""

    name: str
    calls: int
    images: int
    outside: int


@dataclass(frozen=True, eq=False)
class ProfileSums:
    """All sums, largest first; those of `images` in the order of the images. They add up to `instructions`."""

    instructions: int
    parts: tuple[PartSum, ...]
    outside: tuple[PartSum, ...]
    functions: tuple[FunctionSum, ...]
    images: tuple[int, ...]
    by_image: tuple[Mapping[str, Mapping[str, int]], ...]  # part, function, instructions


def sum_up(profiler: Profiler, images: int, stages: Sequence[str]) -> ProfileSums:
    """The sums of a run that has ended, with as many images. `stages`: the names of an image's runs, in order."""
    parts = profiler.finish()
    inside = {part: count for part, count in parts.items() if part.image != OUTSIDE}
    outside = {part: count for part, count in parts.items() if part.image == OUTSIDE}
    by_image: list[dict[str, dict[str, int]]] = [{} for _ in range(images)]
    for part, count in inside.items():
        by_image[part.image][_name(part, stages)] = dict(count.most_common())
    totals = tuple(sum(sum(count.values()) for count in image.values()) for image in by_image)
    return ProfileSums(
        profiler.instructions,
        _part_sums(inside, stages),
        _part_sums(outside, stages),
        _function_sums(profiler, inside, outside),
        totals,
        tuple(by_image),
    )


def _part_sums(parts: Mapping[Part, Counter[str]], stages: Sequence[str]) -> tuple[PartSum, ...]:
    times: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for part, count in parts.items():
        name = _name(part, stages)
        times[name] += 1
        sums[name] += sum(count.values())
    return tuple(PartSum(name, times[name], found) for name, found in sums.most_common())


def _function_sums(
    profiler: Profiler, inside: Mapping[Part, Counter[str]], outside: Mapping[Part, Counter[str]]
) -> tuple[FunctionSum, ...]:
    images, others = (sum(parts.values(), Counter[str]()) for parts in (inside, outside))
    found = [FunctionSum(name, profiler.calls[name], images[name], others[name]) for name in images | others]
    return tuple(sorted(found, key=lambda one: (-one.images, -one.outside, one.name)))


_NAMES: Mapping[str, Callable[[str], str]] = {
    START: lambda stage: f"starting {stage}",
    WAIT: lambda stage: f"waiting for {stage}",
    RESULT: lambda stage: f"reading the result of {stage}",
    DECIDE: lambda stage: f"deciding after {stage}",
}


def _name(part: Part, stages: Sequence[str]) -> str:
    if part.stage is None:
        return part.what
    stage = run_name(part.stage, stages)
    if part.what != SWITCH:
        return _NAMES[part.what](stage)
    before = part.before if part.before is not None else NOBODY
    return f"configuring {stage}" if before == NOBODY else f"switching {run_name(before, stages)} -> {stage}"


def profile_json(sums: ProfileSums) -> dict[str, Any]:
    return {
        "unit": "instructions",
        "source": SOURCE,
        "instructions": sums.instructions,
        "parts": [_part_json(part) for part in sums.parts],
        "outside_images": [_part_json(part) for part in sums.outside],
        "functions": [
            {"name": one.name, "calls": one.calls, "images": one.images, "outside_images": one.outside}
            for one in sums.functions
        ],
        "images": [
            {"instructions": total, "parts": {name: dict(functions) for name, functions in parts.items()}}
            for total, parts in zip(sums.images, sums.by_image, strict=True)
        ],
    }


def _part_json(part: PartSum) -> dict[str, Any]:
    return {"name": part.name, "times": part.times, "instructions": part.instructions}
