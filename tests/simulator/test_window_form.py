"""What only the MAX78002's layers do, each against a computation from its definition; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import (
    Fields,
    changed,
    load_bias,
    load_kernels,
    load_pixels,
    put,
    random_bytes,
    read_pixels,
)
from tests.helpers.window_programs import DEVICE, OUTPUT, convolution, copy, depthwise, geometry, loaded, put_slot, run

ROWS, COLS = 5, 6
PIXELS = ROWS * COLS
Bytes = NDArray[np.int8]


def correlated(image: Bytes, kernels: NDArray[np.int64], pad: int = 1) -> NDArray[np.int64]:
    """(rows, cols, inputs) with (inputs, outputs, 9): int64 (pixels, outputs, inputs), not summed up."""
    padded = np.pad(image.astype(np.int64), ((pad, pad), (pad, pad), (0, 0)))
    rows, cols = padded.shape[0] - 2, padded.shape[1] - 2
    taps = [padded[tap // 3 : tap // 3 + rows, tap % 3 : tap % 3 + cols] for tap in range(9)]
    products: NDArray[np.int64] = np.einsum("trci,iot->rcoi", np.stack(taps), kernels)
    return products.reshape(rows * cols, len(kernels[0]), -1)


def rounded(total: NDArray[np.int64]) -> Bytes:
    clipped: Bytes = np.clip((total + 64) >> 7, -128, 127).astype(np.int8)
    return clipped


def with_image(channels: int) -> tuple[Accelerator, Bytes]:
    accelerator = loaded(PIXELS, channels)
    return accelerator, random_bytes(1, PIXELS, channels).reshape(ROWS, COLS, channels)


def run_layer(accelerator: Accelerator, fields: Fields, **switches: int) -> None:
    put_slot(accelerator, 0, fields)
    run(accelerator, switches=switches)


def test_a_convolution() -> None:
    accelerator, image = with_image(4)
    kernels = random_bytes(2, 4, 8, 9)
    for processor in range(4):
        load_kernels(accelerator, processor, 0, kernels[processor])
    run_layer(accelerator, convolution(ROWS, COLS, 4, 8))
    expected = rounded(correlated(image, kernels.astype(np.int64)).sum(2))
    assert (read_pixels(accelerator, PIXELS, 8, OUTPUT) == expected).all()


@pytest.mark.parametrize(("moving", "instance"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("channels", [3, 7, 16])
def test_a_depthwise_convolution(channels: int, moving: bool, instance: int) -> None:
    """Broadcast: each channel stays in its lane; biases lie by lane, then by instance. Moving: one after the other."""
    accelerator, image = with_image(channels)
    kernels, biases = random_bytes(3, channels, 1, 9), random_bytes(4, channels)
    for processor in range(channels):
        load_kernels(accelerator, processor, 0, kernels[processor])
        place = 8 + processor if moving else 8 + processor % 4 * 4 + processor // 4
        load_bias(accelerator, 0, place, [int(biases[processor])])
    fields = depthwise(ROWS, COLS, channels, moving=moving)
    run_layer(accelerator, changed(fields, POST={"bias_enable": 1, "bias_start": 8 if moving else 2}))
    sums = np.einsum("poi,oi->pi", correlated(image, kernels.astype(np.int64)), np.ones((1, channels), dtype=np.int64))
    expected = rounded(sums + 128 * biases.astype(np.int64))
    assert (read_pixels(accelerator, PIXELS, channels, OUTPUT, instance) == expected).all()


def test_binary_weights() -> None:
    """Bit 0 is +1, bit 1 is -1."""
    accelerator, image = with_image(2)
    bits = random_bytes(5, 2, 4, 9, bits=1)
    for processor in range(2):
        load_kernels(accelerator, processor, 0, bits[processor], bits=1)
    narrow = {"LCTRL1": {"expansion": 3}, "MCNT1": {"last": 3}, "POST": {"weight_size": 1, "shift": 7}}
    run_layer(accelerator, changed(convolution(ROWS, COLS, 2, 4), **narrow), binary_weights=1)
    weights = np.where(bits == 0, 1, -1).astype(np.int64)
    expected = np.clip(correlated(image, weights).sum(2), -128, 127)
    assert (read_pixels(accelerator, PIXELS, 4, OUTPUT) == expected).all()


def test_bypass_multiplies_with_one() -> None:
    accelerator, image = with_image(3)
    fields = changed(convolution(ROWS, COLS, 3, 2), LCTRL0={"bypass": 1}, EN={"kernels": 0}, POST={"shift": 7})
    run_layer(accelerator, fields)
    expected = np.clip(correlated(image, np.ones((3, 2, 9), dtype=np.int64)).sum(2), -128, 127)
    assert (read_pixels(accelerator, PIXELS, 2, OUTPUT) == expected).all()


def test_four_outputs_at_once() -> None:
    """Output s is in physical memory s % 4, at kernel s // 4 of each; biases count in fours."""
    accelerator, image = with_image(4)
    kernels, biases = random_bytes(6, 4, 8, 9), random_bytes(7, 8)
    for processor in range(4):
        for bank in range(4):
            load_kernels(accelerator, processor, bank * 1024 + 12, kernels[processor, bank::4])
    load_bias(accelerator, 0, 20, biases.tolist())
    four = {
        "OCHAN": {"last": 1},
        "MCNT1": {"last": 12 * 8 + 7 * 8},
        "MCNT2": {"start": 12 * 8},
        "POST": {"four_outputs": 1, "bias_enable": 1, "bias_start": 5},
    }
    run_layer(accelerator, changed(convolution(ROWS, COLS, 4, 8), **four))
    expected = rounded(correlated(image, kernels.astype(np.int64)).sum(2) + 128 * biases.astype(np.int64))
    assert (read_pixels(accelerator, PIXELS, 8, OUTPUT) == expected).all()


def test_the_columns_that_only_four_processors_have() -> None:
    accelerator, image = with_image(1)
    kernels = random_bytes(8, 1, 4, 9)
    load_kernels(accelerator, 0, 5116, kernels[0])
    start = 5116 * 8
    late = {"MCNT1": {"last": start + 24}, "MCNT2": {"start": start}}
    run_layer(accelerator, changed(convolution(ROWS, COLS, 1, 4), **late))
    assert (
        read_pixels(accelerator, PIXELS, 4, OUTPUT) == rounded(correlated(image, kernels.astype(np.int64)).sum(2))
    ).all()
    accelerator = loaded(PIXELS, 2)
    with pytest.raises(AcceleratorError, match="beyond column 5119; the last one is 4095"):
        run_layer(accelerator, changed(convolution(ROWS, COLS, 2, 4), **late))


def test_a_read_gap_skips_words_between_pixels() -> None:
    accelerator = loaded(2 * PIXELS, 4)
    image = random_bytes(1, 2 * PIXELS, 4)
    run_layer(accelerator, copy(ROWS, COLS) | geometry(ROWS, COLS, step=2))
    assert (read_pixels(accelerator, PIXELS, 4, OUTPUT) == image[::2]).all()


def test_a_dilated_pooling_window() -> None:
    """2 x 2 samples, three rows and two columns apart."""
    accelerator, image = with_image(4)
    pooled = {
        "RCNT": {"last_window": ROWS - 4, "row_step": 3},
        "CCNT": {"last_window": COLS - 3, "rest": 3},
        "PRCNT": {"last": 3, "dilation": 2},
        "PCCNT": {"last": 2, "dilation": 1},
        "LCTRL0": {"pool_enable": 1},
    }
    run_layer(accelerator, changed(copy(ROWS, COLS), **pooled))
    rows, cols = ROWS - 3, COLS - 2
    taps = [image[row : row + rows, col : col + cols] for row in (0, 3) for col in (0, 2)]
    expected = np.maximum.reduce(taps).reshape(-1, 4)
    assert (read_pixels(accelerator, rows * cols, 4, OUTPUT) == expected).all()


def test_slots_in_which_only_one_quadrant_works() -> None:
    """Quadrant 1 takes part in the run; its registers of the slot are 0."""
    accelerator, image = with_image(4)
    put_slot(accelerator, 0, copy(ROWS, COLS))
    for quadrant in (0, 1):
        put(accelerator, "LCNT_MAX", {}, quadrant)
    base = {"clock_enable": 1, "express": 1, "sync_enable": 1}
    put(accelerator, "CTRL", base | {"enable": 1}, 1)
    put(accelerator, "CTRL", base | {"enable": 1, "sync_enable": 0})
    for quadrant in (0, 1):
        put(accelerator, "CTRL", base, quadrant)
    assert (read_pixels(accelerator, PIXELS, 4, OUTPUT) == image.reshape(-1, 4)).all()


CONVOLUTION = convolution(ROWS, COLS, 4, 8)
DEPTHWISE = depthwise(ROWS, COLS, 8)


@pytest.mark.parametrize(
    ("fields", "change", "message"),
    [
        (CONVOLUTION, {"RCNT": {"pad_enable": 0, "pad": 1}}, "RCNT.pad is 1; 0 without pad_enable"),
        (CONVOLUTION, {"CCNT": {"pad": 2}}, "CCNT.pad is 2; at most 1"),
        (CONVOLUTION, {"RCNT": {"row_step": 2}}, "RCNT.row_step is 2; 1 with STRIDE and CCNT"),
        (CONVOLUTION, {"STRIDE": {"last": 1, "window_step": 2}}, "CCNT.last_window is 5; a multiple of the stride, 2"),
        (CONVOLUTION, {"STRIDE": {"window_step": 0}}, "STRIDE.window_step is 0; a multiple of 1 > 0"),
        (CONVOLUTION, {"LCTRL1": {"passes": 1}}, "STRIDE.window_step is 1 words from pixel to pixel; 2 words"),
        (CONVOLUTION, {"LCTRL0": {"kernel_rows": 0}}, "kernel_cols is 1 x 3; ONED.width and enable say another kernel"),
        (CONVOLUTION, {"OCHAN": {"last": 6}}, "MCNT1.last - MCNT2.start is 56; 6 kernels of 8 bits"),
        (CONVOLUTION, {"LCTRL0": {"read_ahead_shift": 1}}, "LCTRL0.read_ahead_shift is 1; 0 with 1 passes"),
        (CONVOLUTION, {"LCTRL0": {"broadcast": 1}}, "LCTRL0.read_ahead_shift is 8; 0"),
        (CONVOLUTION, {"POST": {"tcalc": 1}}, "POST.tcalc is 1; 0 without LCTRL0.read_ahead"),
        (CONVOLUTION, {"LCTRL0": {"bypass": 1}}, "EN.kernels of quadrant 0 is 0xf; 0 with LCTRL0.bypass"),
        (CONVOLUTION, {"LCTRL0": {"pool_enable": 1}, "PCCNT": {"last": 2}}, "CCNT.last_window is 5, and windows of 3"),
        (
            CONVOLUTION,
            {"LCTRL0": {"pool_enable": 1}, "PRCNT": {"last": 3, "dilation": 1}},
            "PRCNT.last is 3; a multiple",
        ),
        (DEPTHWISE, {"ONED": {"time_slots": 7}}, "ONED.time_slots is 7; 3 with 8 processors of a quadrant"),
        (DEPTHWISE, {"OCHAN": {"last": 7}}, "OCHAN.last is 7; 3 with 8 processors"),
        (DEPTHWISE, {"LCTRL0": {"sources": 2}}, "LCTRL0.sources is 2; 0 with POST.depthwise"),
        (DEPTHWISE, {"MCNT1": {"last": 8}}, "MCNT1.last - MCNT2.start is 8; 0 kernels of 8 bits"),
        (DEPTHWISE, {"POST": {"time_slots": 0}}, "POST.time_slots is 0; 1 with POST.depthwise"),
        (DEPTHWISE, {"POST": {"four_outputs": 1}}, "POST.four_outputs is 1; 0 without kernels"),
    ],
)
def test_what_does_not_fit_or_is_not_known_is_refused(
    fields: Fields, change: dict[str, dict[str, int]], message: str
) -> None:
    accelerator, _ = with_image(8)
    with pytest.raises(AcceleratorError, match=f"layer 0: .*{message}"):
        run_layer(accelerator, changed(fields, **change))


def test_what_is_read_ahead_lies_in_another_physical_memory() -> None:
    accelerator, image = with_image(4)
    ahead = changed(copy(ROWS, COLS), LCTRL0={"read_ahead": 1})
    run_layer(accelerator, ahead)
    assert (read_pixels(accelerator, PIXELS, 4, OUTPUT) == image.reshape(-1, 4)).all()
    with pytest.raises(
        AcceleratorError, match=r"RPTR_BASE.word is word 0, and 4095 of instance 0 is written; different"
    ):
        run_layer(accelerator, changed(ahead, WPTR_BASE={"pointer": OUTPUT - 1}))


def test_the_switch_for_a_stream_of_chw_data_has_to_be_right() -> None:
    accelerator, _ = with_image(4)
    with pytest.raises(AcceleratorError, match=r"CTRL.stream_chw is 1; layer 0 does not stream CHW data"):
        run_layer(accelerator, copy(ROWS, COLS), stream_chw=1)


def test_biases_of_later_passes_that_no_source_places() -> None:
    accelerator = loaded(2 * PIXELS, 8)
    moving = changed(depthwise(ROWS, COLS, 8, moving=True), LCTRL1={"passes": 1, "write_step": 1}, OCHAN={"last": 15})
    two = changed(moving | geometry(ROWS, COLS, 1, step=2), MCNT1={"last": 8}, WPTR_CHOFF={"step": 1})
    for processor in range(8):
        load_kernels(accelerator, processor, 0, random_bytes(processor, 2, 9))
    run_layer(accelerator, two)
    with pytest.raises(AcceleratorError, match=r"POST.bias_enable is 1; 0: where later passes of quadrant 0"):
        run_layer(accelerator, changed(two, POST={"bias_enable": 1}))


def test_reserved_addresses_take_zeros_only() -> None:
    """izer's --write-zero-registers writes the stream registers of slots that have none."""
    accelerator = loaded()
    address = DEVICE.register_address("STRM0") + 4 * 26
    accelerator.write(address, 0)
    with pytest.raises(AcceleratorError, match="layer 26 has no STRM0; written with 0x1"):
        accelerator.write(address, 1)


def test_pixels_beyond_the_mapped_words() -> None:
    accelerator = loaded()
    with pytest.raises(AcceleratorError, match="no register or memory of the accelerator"):
        load_pixels(accelerator, random_bytes(1, 1, 4), 20480)
