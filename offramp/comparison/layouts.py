"""One memory layout as a plain value, ours or the vendor's: what lies where, what runs when, and what it costs.

`compare` reads layouts from specs, plans, builds and the vendor tool's programs into this one form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from offramp.comparison.facts import Facts
from offramp.comparison.headline import Statement
from offramp.configs.device import Column, Device, Word

WORD_BYTES = 4
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # what the layouts of a comparison are called


@dataclass(frozen=True)
class Sizes:
    """Memories of the device: `columns` of a processor that has most, `bias_bytes` of a quadrant, `words` of a data
    instance. `heights`: columns of each processor, where some have fewer."""

    processors: int
    columns: int
    per_quadrant: int  # processors of a quadrant
    column_bytes: int
    quadrants: int
    bias_bytes: int
    instances: int
    words: int
    heights: tuple[int, ...] = ()

    def height(self, processors: Iterable[int]) -> int:
        """Columns that all of some processors have."""
        return min((self.heights[one] for one in processors), default=self.columns) if self.heights else self.columns


@dataclass(frozen=True)
class LayerUse:
    """A layer in the order of execution. `cycles` of the accelerator's clock; `energy` above idle in uJ, estimated,
    None where there is no model."""

    name: str
    number: int  # in the network's YAML
    stage: int
    cycles: int
    estimated: bool
    energy: float | None


@dataclass(frozen=True)
class WeightUse:
    """Kernel columns of one layer, or of several with the same kernels, in all processors of a 64-bit map."""

    layers: tuple[int, ...]
    processors: int
    start: Column
    columns: int


@dataclass(frozen=True)
class BiasUse:
    """Bias bytes of a layer in the memory of one quadrant."""

    layer: int
    quadrant: int
    start: int
    length: int


@dataclass(frozen=True)
class DataUse:
    """A tensor: the same words in each instance, from step `first` to `last`. Written by `layer`; None: the input.
    `kept`: from one inference to the next."""

    name: str
    layer: int | None
    instances: tuple[int, ...]
    start: Word
    words: int
    first: int
    last: int
    kept: bool = False


@dataclass(frozen=True)
class StageUse:
    """A stage: one run of the accelerator, or several, whose names are `runs`. `cost_by_exit`: cycles of an inference
    that ends here, the whole answer from its input on; None if unknown. `share`: of the test images that end here."""

    name: str
    cycles: int
    estimated: bool
    cost_by_exit: int | None
    share: float | None
    runs: tuple[str, ...] = ()

    @property
    def run_names(self) -> tuple[str, ...]:
        """Of all runs, in order; an only one may be known by the stage's name alone."""
        return self.runs or (self.name,)


@dataclass(frozen=True)
class SwitchUse:
    """Bus writes to go from one run of the accelerator to another."""

    source: str
    target: str
    writes: int


@dataclass(frozen=True)
class Point:
    """A way to use the networks: accuracy (fraction of 1), mean cycles and energy (uJ; None where there is no
    model) of an inference."""

    name: str
    accuracy: float
    cycles: float
    energy: float | None
    chosen: bool


@dataclass(frozen=True)
class Layout:
    """`kind` and `path`: what was read; `device`: what it is for. `steps`: names of the steps that data live through,
    the first of which loads the input.

    `mean_cycles`, `mean_energy` (uJ): of an inference over the test data; they and `accuracy` are None if unknown.
    `points`: what could have been chosen, on the data set `points_data`; `points_note`: what limited the choice.
    `headline`: what a plan of ours is worth. `models`: what else is known of its models, where a page is to be made.
    `unverified`: its cycles are.
    """

    name: str
    kind: str
    path: str
    sizes: Sizes
    stages: tuple[StageUse, ...]
    layers: tuple[LayerUse, ...]
    weights: tuple[WeightUse, ...]
    biases: tuple[BiasUse, ...]
    data: tuple[DataUse, ...]
    steps: tuple[str, ...]
    switches: tuple[SwitchUse, ...]
    mean_cycles: float | None
    mean_energy: float | None
    accuracy: float | None
    points: tuple[Point, ...]
    points_data: str
    points_note: str = ""
    headline: tuple[Statement, ...] = ()
    models: tuple[Facts, ...] = ()
    device: str = ""
    unverified: bool = False

    @property
    def weight_bytes(self) -> int:
        return sum(self.sizes.column_bytes * weight.columns * weight.processors.bit_count() for weight in self.weights)

    @property
    def weight_share(self) -> float:
        """Of the device's weight memory."""
        there = sum(self.sizes.height([one]) for one in range(self.sizes.processors))
        return self.weight_bytes / (there * self.sizes.column_bytes)

    @property
    def highest_column(self) -> int:
        """Columns in use in the fullest processor, counted from 0 to the last used one."""
        return max((weight.start + weight.columns for weight in self.weights), default=0)

    @property
    def fullest_height(self) -> int:
        """Columns of the processors in which the highest column is in use."""
        ends = [one.processors for one in self.weights if one.start + one.columns == self.highest_column]
        return self.sizes.height(bit for bit in range(self.sizes.processors) if any(one >> bit & 1 for one in ends))

    @property
    def free_columns(self) -> tuple[Column, int]:
        """First column and length of the longest run that is free in all processors."""
        best, end = (0, 0), 0
        common = self.sizes.height(range(self.sizes.processors))
        for start, columns in [
            *sorted((weight.start, weight.columns) for weight in self.weights),
            (common, 0),
        ]:
            best = max(best, (end, min(start, common) - end), key=lambda run: run[1])
            end = max(end, start + columns)
        return best

    @property
    def bias_bytes(self) -> int:
        return sum(bias.length for bias in self.biases)

    @cached_property
    def data_bytes(self) -> int:
        """Data memory that is live at the fullest step. Words that tensors share count once."""
        return max(self._live_words(step) for step in range(len(self.steps))) * WORD_BYTES

    @property
    def data_capacity(self) -> int:
        """Bytes of the device's data memory."""
        return self.sizes.instances * self.sizes.words * WORD_BYTES

    @property
    def highest_word(self) -> int:
        """Words in use in the fullest instance, counted from 0 to the last used one."""
        return max((one.start + one.words for one in self.data), default=0)

    @property
    def stage_cycles(self) -> int:
        """Cycles of the accelerator if an inference runs through all stages."""
        return sum(stage.cycles for stage in self.stages)

    @property
    def layer_means(self) -> tuple[float, ...] | None:
        """Cycles of each layer in the mean over the test images; None if it is not known how many reach its stage."""
        left = [stage.share for stage in self.stages if stage.share is not None]
        if len(left) < len(self.stages):
            return None
        return tuple(layer.cycles * (1 - sum(left[: layer.stage])) for layer in self.layers)

    @property
    def layer_energy(self) -> float | None:
        """Microjoules of the accelerator if an inference runs through all stages; None where there is no model."""
        known = [layer.energy for layer in self.layers if layer.energy is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def worst_cycles(self) -> int | None:
        """Cycles of the longest inference, reads and switches included."""
        known = [stage.cost_by_exit for stage in self.stages if stage.cost_by_exit is not None]
        return max(known) if len(known) == len(self.stages) else None

    @property
    def switch_writes(self) -> int:
        """Bus writes to go through all stages, of all models, and back to the first."""
        names = [name for stage in self.stages for name in stage.run_names]
        way = set(zip(names, [*names[1:], names[0]], strict=True))
        return sum(one.writes for one in self.switches if (one.source, one.target) in way)

    def _live_words(self, step: int) -> int:
        used = np.zeros((self.sizes.instances, self.sizes.words), np.bool_)
        for one in self.data:
            if one.first <= step <= one.last:
                used[list(one.instances), max(one.start, 0) : one.start + one.words] = True
        return int(used.sum())


def sizes_of(device: Device) -> Sizes:
    weights = device.memories["weights"]
    return Sizes(
        processors=device.geometry.processors,
        columns=weights.most_words,
        per_quadrant=device.geometry.processors_per_quadrant,
        column_bytes=weights.word_bytes,
        quadrants=device.geometry.quadrants,
        bias_bytes=device.memories["bias"].words,
        instances=device.geometry.instances,
        words=device.memories["data"].words,
        heights=tuple(map(device.columns, range(device.geometry.processors))),
    )


def front(points: Sequence[Point], energy: bool = False) -> tuple[Point, ...]:
    """Points that no other beats in accuracy without losing in cycles (or energy), cheapest first."""

    def cost(point: Point) -> float:
        return (point.energy or 0.0) if energy else point.cycles

    known = [point for point in points if not energy or point.energy is not None]
    best: list[Point] = []
    for point in sorted(known, key=lambda one: (cost(one), -one.accuracy, one.name)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return tuple(best)
