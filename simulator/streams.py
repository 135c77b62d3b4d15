"""Stream registers: how far a streaming layer runs behind the one before it.

The model computes a layer at a time, so these registers do not change its results; wrong ones would make the hardware
read words that are not there yet or gone. They follow from the geometry and are checked against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from offramp.simulator.config import LayerConfig, Run, Stream
from offramp.simulator.errors import field_error

NAMES = {
    "start": "STRM0.start",
    "input_volume": "STRM1.input_volume",
    "row_delta": "STRM1.row_delta",
    "multi_row_delta": "STRM1.multi_row_delta",
    "words": "FBUF.words",
    "row_buffer": "TPTR.start",
}


def check_streams(
    layers: Sequence[LayerConfig], run: Run, expected_stream: Callable[[Sequence[LayerConfig], int, Run], Stream]
) -> None:
    """Stream registers of layer 0, which the FIFO feeds, and of the streaming layers after it.

    Raises AcceleratorError for the first field that does not fit, and for a streaming layer after one that is not.
    """
    for index, config in enumerate(layers):
        if config.streaming and config.layer != index:
            raise field_error(
                config.layer, "FBUF.words", "not 0", f"it runs as number {index}; streams begin at layer 0"
            )
        if config.streaming and index and not layers[index - 1].streaming:
            raise field_error(index, "FBUF.words", "not 0", f"layer {index - 1} does not stream")
        if config.stream is None or (index and not config.streaming):
            continue
        expected = expected_stream(layers, index, run)
        for field, name in NAMES.items():
            found, wanted = getattr(config.stream, field), getattr(expected, field)
            if found != wanted:
                raise field_error(index, name, found, f"the geometry needs {wanted}")
