"""Blocks of bus addresses, split by memory without a Python loop over words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device

Addresses = NDArray[np.uint32]


@dataclass(frozen=True)
class Window:
    """A run of addresses of one memory: an instance, a processor's weights, or a quadrant's biases."""

    start: int
    end: int
    kind: str
    quadrant: int
    unit: int  # instance over all quadrants, processor over all quadrants, or quadrant


@dataclass(frozen=True)
class AddressSpan:
    """Consecutive elements `first`..`end` - 1 of a block that lie in one kind of memory (weights: one processor).

    `kind` is "other" for registers and addresses that are nothing. `units` and `offsets` (bytes) are per element.
    """

    kind: str
    first: int
    end: int
    units: NDArray[np.intp]
    offsets: NDArray[np.intp]


class AddressMap:
    """All memory windows of a device."""

    def __init__(self, device: Device) -> None:
        windows = sorted(_windows(device), key=lambda window: window.start)
        self.windows = windows
        self._start_list = [window.start for window in windows]
        self._starts = np.array([window.start for window in windows], dtype=np.int64)
        self._ends = np.array([window.end for window in windows], dtype=np.int64)
        self._units = np.array([window.unit for window in windows], dtype=np.intp)
        # Windows whose elements may be handled together have the same class; weights are loaded one processor a time.
        names = [f"weights{window.unit}" if window.kind == "weights" else window.kind for window in windows]
        self._kinds = [window.kind for window in windows]
        order = {name: index for index, name in enumerate(dict.fromkeys(names))}
        self._classes = np.array([order[name] for name in names], dtype=np.intp)

    def word(self, address: int) -> AddressSpan:
        """The stretch of one word, whose address is in a memory."""
        window = self.windows[bisect_right(self._start_list, address) - 1]
        return AddressSpan(window.kind, 0, 1, np.array([window.unit]), np.array([address - window.start]))

    def stretches(self, addresses: Addresses) -> Iterator[AddressSpan]:
        """Split a block into stretches, in order."""
        wide = addresses.astype(np.int64)
        if len(wide) and not (wide & 3).any():
            low, high = int(wide.min()), int(wide.max())
            if high < self._start_list[0]:  # FIFO words, one by one
                yield AddressSpan("other", 0, len(wide), np.zeros(len(wide), np.intp), wide)
                return
            window = self.windows[max(bisect_right(self._start_list, low) - 1, 0)]
            if window.start <= low and high < window.end:  # the usual case
                yield AddressSpan(window.kind, 0, len(wide), np.full(len(wide), window.unit), wide - window.start)
                return
        index = np.maximum(np.searchsorted(self._starts, wide, side="right") - 1, 0)
        inside = (wide >= self._starts[index]) & (wide < self._ends[index]) & (wide % 4 == 0)
        classes = np.where(inside, self._classes[index], -1)
        edges = np.flatnonzero(np.diff(classes)) + 1
        bounds = [0, *edges.tolist(), len(addresses)]
        for first, end in pairwise(bounds):
            if first == end:
                continue
            kind = self._kinds[index[first]] if inside[first] else "other"
            span = index[first:end]
            yield AddressSpan(kind, first, end, self._units[span], wide[first:end] - self._starts[span])


def _windows(device: Device) -> Iterator[Window]:
    geometry = device.geometry
    units = {"data": geometry.instances_per_quadrant, "weights": geometry.processors_per_quadrant, "bias": 1}
    for name, count in units.items():
        memory = device.memories[name]
        for quadrant in range(geometry.quadrants):
            for unit in range(count):
                start = memory.base + quadrant * memory.quadrant_stride + unit * memory.unit_stride
                end = start + memory.words_in(quadrant * count + unit) * memory.word_stride
                yield Window(start, end, name, quadrant, quadrant * count + unit)
