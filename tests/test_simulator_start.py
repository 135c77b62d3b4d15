"""Starting: which write starts which quadrants, what is left alone, FIFO input and streaming layers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.accelerator import Accelerator
from simulator.errors import AcceleratorError
from tests.accelerator_programs import (
    DEVICE,
    IDLE,
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

OUT = 4096
FIFO = {"fifo": 1}
STREAM = {"fifo": 1, "stream": 1, "circular": 1}


def copying(quadrants: tuple[int, ...] = (0,)) -> tuple[Accelerator, NDArray[np.int8]]:
    """A layer that copies 16 pixels of four channels in each quadrant."""
    accelerator = Accelerator(DEVICE)
    idle(accelerator, quadrants)
    fields = pass_fields(rows=4, cols=4, inputs=4)
    pixels = random_bytes(1, 16, 4)
    for quadrant in quadrants:
        put_layer(
            accelerator, 0, changed(fields, WPTR_BASE={"pointer": DEVICE.pointer(4 * quadrant, OUT)}), (quadrant,)
        )
        load_pixels(accelerator, pixels, instance=4 * quadrant)
    return accelerator, pixels


def test_only_a_rising_enable_starts_and_done_is_cleared_by_writing_zero() -> None:
    accelerator, _ = copying()
    start(accelerator)
    assert accelerator.done
    accelerator.layers_run.clear()
    put(accelerator, "CTRL", IDLE | {"enable": 1, "done": 1})
    assert accelerator.done
    assert accelerator.layers_run == []
    put(accelerator, "CTRL", IDLE)
    assert not accelerator.done
    put(accelerator, "CTRL", IDLE | {"done": 1})
    assert not accelerator.done
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    assert accelerator.layers_run == [0]


def test_all_waiting_quadrants_run_and_report_done() -> None:
    accelerator, pixels = copying((0, 2))
    start(accelerator, (0, 2))
    assert [get(accelerator, "CTRL", quadrant)["done"] for quadrant in range(4)] == [1, 0, 1, 0]
    stop(accelerator, (0, 2))
    for instance in (0, 8):
        assert (read_pixels(accelerator, 16, 4, OUT, instance) == pixels).all()


def test_a_quadrant_without_clock_does_not_start() -> None:
    accelerator, _ = copying()
    put(accelerator, "CTRL", {"enable": 1})
    assert not accelerator.done


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (
            {"enable": 1, "clock_enable": 1, "sync_enable": 1, "pool_round": 1},
            "quadrant 1: CTRL.pool_round is 1; quadrant 0",
        ),
        (
            {"enable": 1, "clock_enable": 1, "sync_enable": 1, "sync_source": 2},
            "quadrant 1: CTRL.enable is 1 while quadrant 0",
        ),
    ],
)
def test_quadrants_that_do_not_start_together_are_refused(control: dict[str, int], message: str) -> None:
    accelerator, _ = copying((0, 1))
    put(accelerator, "CTRL", control, 1)
    with pytest.raises(AcceleratorError, match=message):
        put(accelerator, "CTRL", IDLE | {"enable": 1})


@pytest.mark.parametrize("switch", ["calc_max", "pool_enable", "big_data", "one_shot", "simple_1bit", "fast_fifo"])
def test_switches_that_are_not_modelled_are_refused(switch: str) -> None:
    accelerator, _ = copying()
    with pytest.raises(AcceleratorError, match=f"quadrant 0: CTRL.{switch} is 1; not modelled"):
        put(accelerator, "CTRL", IDLE | {"enable": 1, switch: 1})


def test_the_number_of_layers_must_agree_and_stay_while_enabled() -> None:
    accelerator, _ = copying((0, 1))
    put(accelerator, "LCNT_MAX", {"last_layer": 3}, 1)
    with pytest.raises(
        AcceleratorError, match=r"quadrant 1: LCNT_MAX.last_layer is 3; quadrant 0, which starts, has 0"
    ):
        start(accelerator, (0, 1))
    with pytest.raises(AcceleratorError, match=r"LCNT_MAX written while CTRL.enable is 1"):
        put(accelerator, "LCNT_MAX", {"last_layer": 0}, 1)


@pytest.mark.parametrize("address", [DEVICE.data_address(0, 0), DEVICE.bias_address(0, 0), DEVICE.weight_address(0)])
def test_memories_are_not_accessible_while_enabled(address: int) -> None:
    accelerator, _ = copying()
    start(accelerator)
    with pytest.raises(AcceleratorError, match=r"of quadrant 0 accessed while CTRL.enable is 1"):
        accelerator.write(address, 0)
    with pytest.raises(AcceleratorError, match=r"of quadrant 0 accessed while CTRL.enable is 1"):
        accelerator.read(address)


def test_slots_beyond_the_last_layer_and_idle_quadrants_hold_anything() -> None:
    accelerator, pixels = copying()
    rng = np.random.default_rng(3)
    for quadrant in range(4):
        for register in DEVICE.layer_registers():
            for layer in range(1 if quadrant == 0 else 0, register.layers):
                junk = int(rng.integers(0, 1 << 32)) & register.mask
                accelerator.write(DEVICE.register_address(register.name, quadrant, layer), junk)
    start(accelerator)
    assert accelerator.layers_run == [0]
    stop(accelerator)
    assert (read_pixels(accelerator, 16, 4, OUT) == pixels).all()


def test_layers_are_told_of_in_order() -> None:
    accelerator, _ = copying()
    put_layer(
        accelerator,
        1,
        changed(pass_fields(rows=4, cols=4, inputs=4), RPTR_BASE={"word": OUT}, WPTR_BASE={"pointer": 100}),
    )
    put(accelerator, "LCNT_MAX", {"last_layer": 1})
    seen: list[int] = []
    accelerator.on_layer = seen.append
    start(accelerator)
    assert seen == accelerator.layers_run == [0, 1]


def test_changed_weights_and_biases_are_used_by_the_next_inference() -> None:
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    fields = convolution_fields(rows=1, cols=1, inputs=1, outputs=1, shift=0)
    put_layer(accelerator, 0, changed(fields, POST={"bias_enable": 1}, TPTR={"last": 0}))
    load_pixels(accelerator, np.array([[64]], dtype=np.int8))
    results = []
    for weight, bias in ((2, 0), (4, 0), (4, 5)):
        load_kernels(accelerator, 0, 0, np.array([[0, 0, 0, 0, weight, 0, 0, 0, 0]], dtype=np.int8))
        load_bias(accelerator, 0, 0, [bias])
        start(accelerator)
        stop(accelerator)
        results.append(int(read_pixels(accelerator, 1, 1, OUT)[0, 0]))
    assert results == [1, 2, 7]


def feed(accelerator: Accelerator, pixels: NDArray[np.int8]) -> None:
    """Poll and push words of four channels into FIFO 0."""
    for word in pixels.view("<u4")[:, 0].tolist():
        assert get(accelerator, "FIFO_STAT")["full"] & 1 == 0
        accelerator.write(DEVICE.register_address("FIFO_DATA0"), word)


def test_a_fifo_run_waits_for_the_whole_frame() -> None:
    accelerator, _ = copying()
    pixels = random_bytes(5, 16, 4)
    put(accelerator, "IFRM", {"words": 16})
    put(accelerator, "FIFO_CTRL", {"enable": 1})
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
    accelerator, _ = copying()
    put(accelerator, "IFRM", {"words": 16})
    put(accelerator, "FIFO_CTRL", {"enable": 1})
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


def streaming() -> Accelerator:
    """An image larger than an instance, pooled by a streaming layer, copied by a second one."""
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    first = changed(
        pass_fields(rows=128, cols=128, inputs=4),
        LCTRL0={"pool_enable": 1},
        PRCNT={"last": 3},
        PCCNT={"last": 3},
        STRIDE={"last": 3},
        WPTR_BASE={"pointer": 1000},
        FBUF={"words": 520},
    )
    second = changed(pass_fields(rows=32, cols=32, inputs=4), RPTR_BASE={"word": 1000}, FBUF={"words": 70})
    put_layer(accelerator, 0, first)
    put_layer(accelerator, 1, second)
    put(accelerator, "LCNT_MAX", {"last_layer": 1})
    put(accelerator, "IFRM", {"words": 128 * 128})
    put(accelerator, "FIFO_CTRL", {"enable": 1})
    return accelerator


def test_streaming_layers_pass_more_than_an_instance_holds() -> None:
    accelerator = streaming()
    load_pixels(accelerator, random_bytes(7, 1100, 4))
    image = random_bytes(8, 128, 128, 4)
    start(accelerator, switches=STREAM)
    feed(accelerator, image.reshape(-1, 4))
    assert accelerator.done
    stop(accelerator)
    expected = image.reshape(32, 4, 32, 4, 4).max(axis=(1, 3)).reshape(1024, 4)
    assert (read_pixels(accelerator, 1024, 4, OUT) == expected).all()
    with pytest.raises(AcceleratorError, match=r"data word 1000 of instance 0"):  # the circle is undefined afterwards
        accelerator.read(DEVICE.data_address(0, 1000))
    accelerator.read(DEVICE.data_address(0, 999))


def test_streaming_starts_at_layer_0_and_with_the_fifo() -> None:
    accelerator = streaming()
    with pytest.raises(AcceleratorError, match=r"CTRL.fifo must be 1"):
        start(accelerator, switches={"stream": 1})
    stop(accelerator)
    put(accelerator, "FBUF", {"words": 0}, layer=0)
    put_layer(accelerator, 0, pass_fields(rows=4, cols=4, inputs=4))
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
        FBUF={"words": streams * 12},
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
