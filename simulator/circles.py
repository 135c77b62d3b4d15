"""Circular buffers of streaming layers. All layers that stream run at once, so what they write must not meet.

The model streams on buffers of its own; the memory that the hardware would take is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from offramp.configs.device import Device
from offramp.simulator.config import LayerConfig
from offramp.simulator.errors import AcceleratorError, field_error
from offramp.simulator.memory import WORD_BYTES
from offramp.simulator.store import placements

Span = tuple[int, range]  # data memory instance, words


def circle(config: LayerConfig, device: Device) -> tuple[Span, ...]:
    """The circular buffer that a streaming layer reads: from RPTR_BASE on, FBUF.words in each instance."""
    words = config.stream.words if config.stream else 0
    span = range(config.input.word, config.input.word + words)
    return tuple((instance, span) for instance in sorted({device.instance_of(one) for one in config.processors}))


def check_circles(layers: Sequence[LayerConfig], words: int, device: Device) -> None:
    """Circles of the streaming layers that a run begins with, one at least, in instances of `words` words.

    Raises AcceleratorError for a circle past the instance, for two that share a word, and for one that the last of
    the layers writes to.
    """
    circles = [(config, circle(config, device)) for config in layers]
    for config, spans in circles:
        end = max(span.stop for _, span in spans)
        if end > words:
            raise _error(config, f"word {end - 1} is past the instance")
    for (first, spans), (second, others) in combinations(circles, 2):
        if shared := _shared(spans, others):
            raise _error(first, f"{shared} is in the circular buffer of layer {second.layer} too")
    written = _written(layers[-1], device)
    for config, spans in circles:
        if shared := _shared(spans, written):
            raise _error(config, f"{shared} is written by layer {layers[-1].layer}, which runs at the same time")


def _written(config: LayerConfig, device: Device) -> list[Span]:
    spans = []
    for place in (place for writer in config.writers for place in placements(config, writer, device)):
        end = place.word + (config.out_pixels - 1) * config.output.pixel_step + 1
        wide = range(place.word, end + WORD_BYTES - 1)
        spans.append((place.instance, wide if config.output.wide else range(place.word, end, config.output.pixel_step)))
    return spans


def _shared(spans: Iterable[Span], others: Sequence[Span]) -> str:
    """A text for the first word in both; "" if there is none."""
    for instance, span in spans:
        for other, taken in others:
            low, high = max(span.start, taken.start), min(span.stop, taken.stop)
            word = next((word for word in range(low, high) if word in taken), None)
            if other == instance and word is not None:
                return f"word {word} of instance {instance}"
    return ""


def _error(config: LayerConfig, wrong: str) -> AcceleratorError:
    return field_error(config.layer, "FBUF.words", config.stream.words if config.stream else 0, wrong)
