"""Inputs of a model in every form in which the runtime takes them, whole or in pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offramp.codegen.firmware import InputLayout
from offramp.simulator.board.calls import Format

FORMS = (Format.CHW, Format.HWC, Format.PACKED, Format.CHW | Format.UNSIGNED, Format.HWC | Format.UNSIGNED)


def pixels_of(layout: InputLayout) -> int:
    """Pixels of a whole input."""
    return layout.shape[1] * layout.shape[2]


def may_end(layout: InputLayout, first: int, pixels: int) -> bool:
    """Whether a piece of an input may begin and end there: where a word of the accelerator does."""
    inside = 0 < pixels <= pixels_of(layout) - first
    return inside and (not layout.chw or pixels % 4 == 0 or first + pixels == pixels_of(layout))


def encode(data: bytes, layout: InputLayout, form: int, first: int = 0, pixels: int | None = None) -> bytes:
    """Some pixels of an input, all if there is no number; `data`: int8 in the order channel, row, column."""
    count = pixels_of(layout) - first if pixels is None else pixels
    part = np.frombuffer(data, np.int8).reshape(layout.shape[0], -1)[:, first : first + count]
    if form & Format.PACKED:
        return _pack(part, layout)
    ordered = np.ascontiguousarray(part.T if form & Format.HWC else part)
    return (ordered.view(np.uint8) ^ np.uint8(0x80 if form & Format.UNSIGNED else 0)).tobytes()


def _pack(part: NDArray[np.int8], layout: InputLayout) -> bytes:
    """Words as the accelerator holds them, run by run."""
    if layout.chw:
        padded = np.pad(part, ((0, 0), (0, -part.shape[1] % 4)))
        return b"".join(padded[run.channels[0]].tobytes() for run in layout.runs)
    none = np.zeros(part.shape[1], np.int8)
    lanes = [[part[channel] if channel >= 0 else none for channel in run.channels] for run in layout.runs]
    return b"".join(np.stack(run, axis=1).tobytes() for run in lanes)
