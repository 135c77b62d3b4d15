"""The small firmware with kernels outside flash, without an accelerator that could use them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from offramp.codegen.firmware import Chunk, Firmware
from offramp.codegen.pack import express_words
from tests.helpers.small_firmware import small_firmware, small_model, weights_at


def chunk(processor: int, columns: int) -> Chunk:
    """Columns of words that tell where they belong."""
    data = np.resize(np.arange(1, 252, dtype=np.uint8) + processor, (columns, 9))
    return weights_at(processor, 8, express_words(data), columns)


CHUNKS = (chunk(2, 80), chunk(9, 101))


def external_firmware(stages: int = 2) -> Firmware:
    """The small firmware, with kernels of its last stage, or last two, in the file."""
    first, last = small_model().stages
    if stages == 2:
        return small_firmware(stages=(first, replace(last, external=CHUNKS)))
    middle = replace(last, name="middle", advance=(), external=CHUNKS[:1], exit=first.exit)
    return small_firmware(stages=(first, middle, replace(last, external=CHUNKS[1:])))
