"""Time slots: steps in which a quadrant writes one pixel and pass of a layer that sums over no processors."""

from __future__ import annotations

from offramp.planner.hardware.hw_layer import HwLayer, ceil_div, quadrant_slice, quadrants_of


def time_slots(hw: HwLayer) -> int:
    """Those of the fullest quadrant: words of a pass-through layer; a depthwise one takes a step for each place in a
    word or, if it writes for others than its own, for each processor, and four times as many for 32-bit results."""
    device = hw.device
    lanes = device.geometry.processors_per_instance
    most = max(quadrant_slice(hw.processors, q, device).bit_count() for q in quadrants_of(hw.processors, device))
    if hw.layer.depthwise:
        return (min(most, lanes) if hw.broadcast else most) * hw.word_factor
    return ceil_div(most, lanes)
