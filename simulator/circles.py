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
from offramp.simulator.store import places_written

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
    wide = config.output.wide
    return [
        (place.instance, range(words.start, words.stop + WORD_BYTES - 1) if wide else words)
        for place, words in places_written(config, device)
    ]


def _shared(spans: Iterable[Span], others: Sequence[Span]) -> str:
    """A text for the first word in both; "" if there is none."""
    for instance, span in spans:
        for taken in [words for other, words in others if other == instance]:
            low, high = max(span.start, taken.start), min(span.stop, taken.stop)
            word = next((word for word in range(low, high) if word in taken), None)
            if word is not None:
                return f"word {word} of instance {instance}"
    return ""


def _error(config: LayerConfig, wrong: str) -> AcceleratorError:
    return field_error(config.layer, "FBUF.words", config.stream.words if config.stream else 0, wrong)
