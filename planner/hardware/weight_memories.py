"""Where in a processor's weight memory the kernels of a layer may lie."""

from __future__ import annotations

from offramp.configs.device import Column
from offramp.planner.hardware.hw_layer import HwLayer

Rooms = tuple[tuple[Column, Column], ...]


def rooms_of(hw: HwLayer, common: Column) -> Rooms:
    """Ranges of columns, [from, to), in one of which the kernels lie; none if they may have all `common` columns, those
    that all processors have, and no others.

    Outputs at once take kernels from equal columns of the physical memories, the kernels of a depthwise layer lie in
    one of them (izer kernels.py). The columns that only some processors have are in further physical memories, as many
    as of the others.
    """
    device = hw.device
    bank, height = device.memories["weights"].bank_words, device.common_columns(hw.processors)
    if hw.at_once > 1:
        return ((0, bank),)
    if hw.layer.depthwise:
        words = device.memories["weights"].words
        more = (height - words) // (words // bank)
        firsts = [(first, first + bank) for first in range(0, words, bank)]
        return (*firsts, *((first, first + more) for first in range(words, height, more or 1)))
    return () if height == common else ((0, height),)


def copies_of(hw: HwLayer) -> tuple[Column, ...]:
    """How far from the first kernel column others of the layer lie."""
    bank = hw.device.memories["weights"].bank_words
    return tuple(index * bank for index in range(hw.at_once))
