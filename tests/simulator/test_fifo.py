"""FIFO input and streaming layers on the accelerator model."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.clock import Clock
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import (
    DEVICE,
    changed,
    convolution_fields,
    get,
    idle,
    load_bias,
    load_kernels,
    load_pixels,
    pass_fields,
    put,
    put_layer,
    random_bytes,
    read_pixels,
    start,
    stop,
)
from tests.helpers.single_layers import OUT, copying

FIFO = {"fifo": 1}
STREAM = {"fifo": 1, "stream": 1, "circular": 1}


def feed(accelerator: Accelerator, pixels: NDArray[np.int8]) -> None:
    """Poll and push words of four channels into FIFO 0."""
    for word in pixels.view("<u4")[:, 0].tolist():
        assert get(accelerator, "FIFO_STAT")["full"] & 1 == 0
        accelerator.write(DEVICE.register_address("FIFO_DATA0"), word)


def fed_by_fifo(clock: Clock | None = None) -> Accelerator:
    """The copying layer, its 16 words from FIFO 0."""
    accelerator, _ = copying((0,), clock)
    put(accelerator, "STRM0", {"start": 16})
    put(accelerator, "IFRM", {"words": 16})
    put(accelerator, "FIFO_CTRL", {"enable": 1})
    return accelerator


def test_a_fifo_run_takes_its_cycles_from_the_last_word_on() -> None:
    clock = Clock(DEVICE)
    accelerator = fed_by_fifo(clock)
    start(accelerator, switches=FIFO)
    clock.pass_cycles(1000)
    feed(accelerator, random_bytes(5, 16, 4))
    assert not accelerator.done
    assert get(accelerator, "CTRL")["done"]
    assert clock.now == 1000 + clock.core_cycles(accelerator.cycles.total)


def test_a_fifo_run_waits_for_the_whole_frame() -> None:
    accelerator = fed_by_fifo()
    pixels = random_bytes(5, 16, 4)
    for frame in (pixels, pixels[::-1].copy()):
        start(accelerator, switches=FIFO)
        feed(accelerator, frame[:15])
        assert not accelerator.done
        assert get(accelerator, "FIFO_STAT")["empty"] == 0b1110
        feed(accelerator, frame[15:])
        assert accelerator.done
        assert get(accelerator, "FIFO_STAT")["empty"] == 0b1111
        stop(accelerator)
        assert (read_pixels(accelerator, 16, 4, OUT) == frame).all()


def test_a_stopped_fifo_run_does_not_go_on() -> None:
    accelerator = fed_by_fifo()
    start(accelerator, switches=FIFO)
    stop(accelerator)
    feed(accelerator, random_bytes(6, 16, 4))
    assert not accelerator.done


def test_fifo_mode_needs_a_port_and_a_frame_size() -> None:
    accelerator, _ = copying()
    with pytest.raises(AcceleratorError, match=r"FIFO_CTRL.enable is 0"):
        start(accelerator, switches=FIFO)
    accelerator, _ = copying()
    put(accelerator, "FIFO_CTRL", {"enable": 1})
    with pytest.raises(AcceleratorError, match=r"IFRM.words of quadrant 0 is 0"):
        start(accelerator, switches=FIFO)


def streaming(between: int = 2000, overlap: bool = False) -> Accelerator:
    """An image larger than an instance, pooled by a streaming layer, copied by a second one. `between`: the word where
    the second one reads."""
    accelerator = Accelerator(DEVICE, overlap=overlap)
    idle(accelerator)
    first = changed(
        pass_fields(rows=128, cols=128, inputs=4),
        LCTRL0={"pool_enable": 1},
        PRCNT={"last": 3},
        PCCNT={"last": 3},
        STRIDE={"last": 3},
        WPTR_BASE={"pointer": between},
        STRM0={"start": 4 * (3 * 128 + 4)},
        STRM1={"row_delta": 3, "multi_row_delta": 3 * 128},
        FBUF={"words": 4 * (3 * 128 + 4) + 3 * 128 + 4},
    )
    second = changed(
        pass_fields(rows=32, cols=32, inputs=4),
        RPTR_BASE={"word": between},
        TPTR={"start": 1, "last": 1},
        STRM0={"start": 3},
        STRM1={"input_volume": 1, "row_delta": 1, "multi_row_delta": 1},
        FBUF={"words": 4},
    )
    put_layer(accelerator, 0, first)
    put_layer(accelerator, 1, second)
    put(accelerator, "LCNT_MAX", {"last_layer": 1})
    put(accelerator, "IFRM", {"words": 128 * 128})
    put(accelerator, "FIFO_CTRL", {"enable": 1})
    return accelerator


def test_streaming_layers_pass_more_than_an_instance_holds() -> None:
    accelerator = streaming()
    load_pixels(accelerator, random_bytes(7, 2100, 4))
    image = random_bytes(8, 128, 128, 4)
    start(accelerator, switches=STREAM)
    feed(accelerator, image.reshape(-1, 4))
    assert accelerator.done
    stop(accelerator)
    expected = image.reshape(32, 4, 32, 4, 4).max(axis=(1, 3)).reshape(1024, 4)
    assert (read_pixels(accelerator, 1024, 4, OUT) == expected).all()
    gone = r"data word 2003 of instance 0 .*, which is in the circular buffer of layer 1"
    with pytest.raises(AcceleratorError, match=gone):
        accelerator.read(DEVICE.data_address(0, 2003))
    accelerator.read(DEVICE.data_address(0, 2004))


FIRST_CIRCLE = 4 * (3 * 128 + 4) + 3 * 128 + 4  # words


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (
            FIRST_CIRCLE - 1,
            "layer 0: FBUF.words is 1940; word 1939 of instance 0 is in the circular buffer of layer 1 too",
        ),
        (
            OUT - 3,
            f"layer 1: FBUF.words is 4; word {OUT} of instance 0 is written by layer 1, which runs at the same time",
        ),
        (OUT + 1023, f"layer 1: FBUF.words is 4; word {OUT + 1023} of instance 0 is written by layer 1"),
        (8189, "layer 1: FBUF.words is 4; word 8192 is past the instance"),
    ],
)
def test_circular_buffers_are_apart_from_each_other_and_from_the_results(between: int, message: str) -> None:
    accelerator = streaming(between)
    start(accelerator, switches=STREAM)
    with pytest.raises(AcceleratorError, match=message):
        feed(accelerator, random_bytes(8, 128 * 128, 4))


@pytest.mark.parametrize("between", [FIRST_CIRCLE, OUT - 4, OUT + 1024, 8188])
def test_circular_buffers_may_lie_right_beside_each_other_and_the_results(between: int) -> None:
    accelerator = streaming(between)
    start(accelerator, switches=STREAM)
    feed(accelerator, random_bytes(8, 128 * 128, 4))
    assert accelerator.done


def test_circular_buffers_may_share_words_where_the_user_says_so() -> None:
    accelerator = streaming(FIRST_CIRCLE - 1, overlap=True)
    start(accelerator, switches=STREAM)
    feed(accelerator, random_bytes(8, 128 * 128, 4))
    assert accelerator.done


@pytest.mark.parametrize(
    ("register", "field", "needed"),
    [
        ("STRM0", "start", 3),
        ("STRM1", "input_volume", 1),
        ("STRM1", "row_delta", 1),
        ("STRM1", "multi_row_delta", 1),
        ("FBUF", "words", 4),
        ("TPTR", "start", 1),
    ],
)
def test_stream_registers_follow_from_the_geometry(register: str, field: str, needed: int) -> None:
    accelerator = streaming()
    values = get(accelerator, register, layer=1)
    shifted = {name: value + 1 for name, value in values.items() if register == "TPTR" or name == field}
    put(accelerator, register, values | shifted, layer=1)
    start(accelerator, switches=STREAM)
    message = rf"layer 1: {register}.{field} is {needed + 1}; the geometry needs {needed}"
    with pytest.raises(AcceleratorError, match=message):
        feed(accelerator, random_bytes(8, 128 * 128, 4))


def test_the_frame_has_as_many_words_as_layer_0_reads() -> None:
    accelerator = fed_by_fifo()
    put(accelerator, "IFRM", {"words": 15})
    start(accelerator, switches=FIFO)
    with pytest.raises(AcceleratorError, match=r"quadrant 0: IFRM.words is 15; layer 0 reads 16 words"):
        feed(accelerator, random_bytes(9, 15, 4))


def test_streaming_starts_at_layer_0_and_with_the_fifo() -> None:
    accelerator = streaming()
    with pytest.raises(AcceleratorError, match=r"CTRL.fifo must be 1"):
        start(accelerator, switches={"stream": 1})
    stop(accelerator)
    put(accelerator, "FBUF", {"words": 0}, layer=0)
    put_layer(accelerator, 0, changed(pass_fields(rows=4, cols=4, inputs=4), STRM0={"start": 16}))
    put(accelerator, "IFRM", {"words": 16})
    start(accelerator, switches=STREAM)
    with pytest.raises(AcceleratorError, match=r"layer 1: FBUF.words is not 0; layer 0 does not stream"):
        feed(accelerator, random_bytes(9, 16, 4))


@pytest.mark.parametrize(("streams", "first"), [(0, 10), (1, 11)])
def test_a_streaming_first_layer_counts_biases_from_one_on(streams: int, first: int) -> None:
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    fields = changed(
        convolution_fields(rows=4, cols=4, inputs=4, outputs=4),
        POST={"bias_enable": 1, "bias_start": 10},
        STRM0={"start": 1 if streams else 16},
        FBUF={"words": 2 if streams else 0},
    )
    put_layer(accelerator, 0, fields)
    put(accelerator, "IFRM", {"words": 16})
    put(accelerator, "FIFO_CTRL", {"enable": 1})
    for processor in range(4):
        load_kernels(accelerator, processor, 0, np.zeros((4, 9), dtype=np.int8))
    load_bias(accelerator, 0, 10, [5, 6, 7, 8, 9])
    start(accelerator, switches=STREAM)
    feed(accelerator, random_bytes(10, 16, 4))
    stop(accelerator)
    assert read_pixels(accelerator, 1, 4, OUT).tolist() == [[value - 5 for value in range(first, first + 4)]]
