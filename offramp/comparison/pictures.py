"""Memories as pictures: blocks in lanes, every place a percentage of the picture, so that a page can stretch them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from offramp.comparison.layouts import WORD_BYTES, BiasUse, DataUse, Layout, WeightUse
from offramp.comparison.palette import FREE_LOOK, INPUT_LOOK, Look, look
from offramp.comparison.svg import marks, number

LANE = 1.6  # rem; height of a lane without blocks
STEP_TICKS = 12  # at most so many steps are named below the picture


@dataclass(frozen=True)
class Box:
    """In percent of the picture, from the left and from the top."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Block:
    """`layer`: what blocks of the same layer in other pictures have in common. `short`: fits into a large box."""

    layer: str
    short: str
    label: str
    look: Look
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Lane:
    """A strip across the picture, in percent from the top."""

    label: str
    top: float
    height: float


@dataclass(frozen=True)
class Tick:
    """A mark below the picture, in percent from the left."""

    label: str
    left: float


@dataclass(frozen=True)
class Picture:
    """`title`: the picture in words, for screen readers. `height` in rem. `across`, `down`: what the axes count.
    `free`: where nothing lies, as far as that is drawn."""

    title: str
    across: str
    down: str
    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    blocks: tuple[Block, ...]
    free: tuple[Block, ...] = ()


def layer_looks(layout: Layout) -> tuple[Look, ...]:
    """Of all layers, by position."""
    stages = [layer.stage for layer in layout.layers]
    return tuple(look(stage, number - stages.index(stage)) for number, stage in enumerate(stages))


def weight_picture(layout: Layout, letter: str) -> Picture:
    """Kernel columns from left to right, processors from top to bottom."""
    sizes = layout.sizes
    step = 100 / sizes.processors
    lanes = tuple(
        Lane(f"{first}", first * step, sizes.per_quadrant * step)
        for first in range(0, sizes.processors, sizes.per_quadrant)
    )
    looks = layer_looks(layout)

    def block(one: WeightUse) -> Block:
        processors = [bit for bit in range(sizes.processors) if one.processors >> bit & 1]
        left, width = 100 * one.start / sizes.columns, 100 * one.columns / sizes.columns
        boxes = tuple(Box(left, run[0] * step, width, len(run) * step) for run in runs(processors))
        size = sizes.column_bytes * one.columns * len(processors)
        names = " and ".join(layer_label(layout, layer) for layer in one.layers)
        place = f"columns {span(one.start, one.columns)}, processors {ranges(processors)}, {size:,} bytes"
        first = one.layers[0]
        return Block(f"{letter}{first}", f"{layout.layers[first].number}", f"{names}: {place}", looks[first], boxes)

    return Picture(
        title=f"{letter}: weight memory",
        across="kernel column",
        down="processor",
        height=16,
        lanes=lanes,
        ticks=ticks(sizes.columns, 4),
        blocks=tuple(map(block, sorted(layout.weights, key=lambda one: one.layers))),
        free=free_weights(layout),
    )


def bias_picture(layout: Layout, letter: str) -> Picture:
    """Bytes from left to right, quadrants from top to bottom."""
    sizes = layout.sizes
    step = 100 / sizes.quadrants
    looks = layer_looks(layout)

    def block(one: BiasUse) -> Block:
        box = Box(100 * one.start / sizes.bias_bytes, one.quadrant * step, 100 * one.length / sizes.bias_bytes, step)
        place = f"quadrant {one.quadrant}, bytes {span(one.start, one.length)}"
        label = f"{layer_label(layout, one.layer)}: {place}"
        return Block(f"{letter}{one.layer}", f"{layout.layers[one.layer].number}", label, looks[one.layer], (box,))

    return Picture(
        title=f"{letter}: bias memory",
        across="byte",
        down="quadrant",
        height=LANE * sizes.quadrants,
        lanes=tuple(Lane(f"{quadrant}", quadrant * step, step) for quadrant in range(sizes.quadrants)),
        ticks=ticks(sizes.bias_bytes, 4),
        blocks=tuple(map(block, layout.biases)),
        free=free_biases(layout),
    )


def data_picture(layout: Layout, letter: str, words: int) -> Picture:
    """Steps of an inference from left to right; instances from top to bottom, each with its words 0 to `words` - 1.

    Neighbouring instances that hold the same tensors share a lane.
    """
    groups = instance_groups(layout)
    heights = [LANE + 1.2 * min(len(group), 4) if _holds(layout, group[0]) else LANE for group in groups]
    total = sum(heights)
    tops = [sum(heights[:number]) for number in range(len(groups))]
    places = [(100 * top / total, 100 * height / total) for top, height in zip(tops, heights, strict=True)]
    lanes = tuple(Lane(ranges(group), *place) for group, place in zip(groups, places, strict=True))
    looks = layer_looks(layout)
    count = len(layout.steps)

    def block(one: DataUse) -> Block:
        left, width = 100 * one.first / count, 100 * (one.last - one.first + 1) / count
        boxes = tuple(
            Box(left, top + height * max(one.start, 0) / words, width, height * one.words / words)
            for group, (top, height) in zip(groups, places, strict=True)
            if group[0] in one.instances
        )
        place = f"words {span(one.start, one.words)} of instances {ranges(one.instances)}"
        label = f"{one.name}: {place}, from `{layout.steps[one.first]}` to `{layout.steps[one.last]}`"
        if one.layer is None:
            return Block(f"{letter}input", "in", label, INPUT_LOOK, boxes)
        short = f"{layout.layers[one.layer].number}"
        return Block(f"{letter}{one.layer}", short, label, looks[one.layer], boxes)

    return Picture(
        title=f"{letter}: data memory over time",
        across="step of an inference",
        down="instance",
        height=total,
        lanes=lanes,
        ticks=_step_ticks(layout),
        blocks=tuple(map(block, layout.data)),
        free=free_data(layout, groups, places, words),
    )


def free_weights(layout: Layout) -> tuple[Block, ...]:
    """Runs of columns in which nothing lies, of neighbouring processors with the same ones together."""
    sizes = layout.sizes

    def gaps(processor: int) -> tuple[tuple[int, int], ...]:
        used = [(one.start, one.columns) for one in layout.weights if one.processors >> processor & 1]
        return unused(used, sizes.height([processor]))

    found = []
    for own, group in groupby(range(sizes.processors), key=gaps):
        processors = tuple(group)
        top, height = 100 * processors[0] / sizes.processors, 100 * len(processors) / sizes.processors
        for start, length in own:
            size = sizes.column_bytes * length * len(processors)
            label = f"free: columns {span(start, length)}, processors {ranges(processors)}, {size:,} bytes"
            box = Box(100 * start / sizes.columns, top, 100 * length / sizes.columns, height)
            found.append(Block("free", "", label, FREE_LOOK, (box,)))
    return tuple(found)


def free_biases(layout: Layout) -> tuple[Block, ...]:
    """Bytes of each quadrant in which nothing lies."""
    sizes, found = layout.sizes, []
    for quadrant in range(sizes.quadrants):
        used = [(one.start, one.length) for one in layout.biases if one.quadrant == quadrant]
        for start, length in unused(used, sizes.bias_bytes):
            label = f"free: quadrant {quadrant}, bytes {span(start, length)}"
            left, width = 100 * start / sizes.bias_bytes, 100 * length / sizes.bias_bytes
            box = Box(left, 100 * quadrant / sizes.quadrants, width, 100 / sizes.quadrants)
            found.append(Block("free", "", label, FREE_LOOK, (box,)))
    return tuple(found)


def free_data(
    layout: Layout, groups: Sequence[Sequence[int]], places: Sequence[tuple[float, float]], words: int
) -> tuple[Block, ...]:
    """Words of instances in which nothing lies at any step. `places`: top and height of each group of instances, which
    have their first `words` drawn."""
    found = []
    for group, (top, height) in zip(groups, places, strict=True):
        used = [(max(one.start, 0), one.words) for one in layout.data if group[0] in one.instances]
        for start, length in unused(used, words):
            size = WORD_BYTES * length * len(group)
            label = f"free at all steps: words {span(start, length)} of instances {ranges(group)}, {size:,} bytes"
            box = Box(0, top + height * start / words, 100, height * length / words)
            found.append(Block("free", "", label, FREE_LOOK, (box,)))
    return tuple(found)


def unused(used: Iterable[tuple[int, int]], size: int) -> tuple[tuple[int, int], ...]:
    """Start and length of the gaps between some runs, which may overlap, from 0 to `size`."""
    found, end = [], 0
    for start, length in (*sorted(used), (size, 0)):
        if start > end:
            found.append((end, start - end))
        end = max(end, start + length)
    return tuple(found)


def layer_label(layout: Layout, layer: int) -> str:
    """Name and stage."""
    one = layout.layers[layer]
    return f"{one.name} (stage {layout.stages[one.stage].name})"


def instance_groups(layout: Layout) -> tuple[tuple[int, ...], ...]:
    """Neighbouring instances that hold the same tensors."""
    groups = groupby(range(layout.sizes.instances), key=lambda instance: _holds(layout, instance))
    return tuple(tuple(group) for _, group in groups)


def _holds(layout: Layout, instance: int) -> tuple[str, ...]:
    return tuple(one.name for one in layout.data if instance in one.instances)


def _step_ticks(layout: Layout) -> tuple[Tick, ...]:
    """The middle of steps: `in`, numbers of layers in their YAML, `?` where a result is checked."""
    short = []
    layers = iter(layout.layers)
    for name in layout.steps:
        if name.startswith("run "):
            short.append(f"{next(layers).number}")
        else:
            short.append("in" if name.startswith("load input") else "?")
    every = -(-len(short) // STEP_TICKS)
    return tuple(Tick(text, 100 * (step + 0.5) / len(short)) for step, text in enumerate(short) if step % every == 0)


def ticks(size: int, parts: int) -> tuple[Tick, ...]:
    """Marks at equal distances from 0 to `size`."""
    return tuple(Tick(f"{size * part // parts:,}", 100 * part / parts) for part in range(parts + 1))


def ticks_of_range(size: int) -> tuple[Tick, ...]:
    """Marks at round numbers from 0 to `size`."""
    return tuple(Tick(number(mark), 100 * mark / size) for mark in marks(0, size, 6))


def runs(numbers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Ascending numbers in runs without gaps."""
    breaks = [place + 1 for place, (one, following) in enumerate(pairwise(numbers)) if following != one + 1]
    ends = [0, *breaks, len(numbers)]
    return tuple(tuple(numbers[start:end]) for start, end in pairwise(ends) if end > start)


def ranges(numbers: Iterable[int]) -> str:
    """`0-3, 8`."""
    return ", ".join(span(run[0], len(run)) for run in runs(sorted(numbers)))


def span(start: int, length: int) -> str:
    """First and last of `length` things from `start` on."""
    return f"{start}" if length == 1 else f"{start}-{start + length - 1}"
