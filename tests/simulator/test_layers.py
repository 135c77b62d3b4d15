"""Layers of every kind on the accelerator model against convolutions written out as loops."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.accelerator_programs import (
    DEVICE,
    changed,
    convolution_fields,
    load_bias,
    load_kernels,
    load_pixels,
    put_layer,
    random_bytes,
    read_pixels,
)
from tests.helpers.single_layers import OUT, accelerator_with, correlate, finish, load, run


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize(("pad", "shift", "outputs"), [(1, -2, 6), (2, 0, 3), (0, 1, 9)])
def test_convolution_3x3(bits: int, pad: int, shift: int, outputs: int) -> None:
    image, kernels = random_bytes(1, 5, 7, 6), random_bytes(2, outputs, 6, 3, 3, bits=bits)
    fields = convolution_fields(rows=5, cols=7, inputs=6, outputs=outputs, pad=pad, bits=bits, shift=shift)
    accelerator = accelerator_with(fields)
    load(accelerator, image, kernels, bits)
    run(accelerator)
    expected = finish(correlate(image, kernels, pad), shift + 8 - bits)
    assert (read_pixels(accelerator, len(expected), outputs, OUT) == expected).all()


@pytest.mark.parametrize("activation", ["none", "relu", "absolute", "both"])
def test_bias_and_activation(activation: str) -> None:
    image, kernels = random_bytes(3, 4, 4, 2), random_bytes(4, 4, 2, 3, 3)
    bias = [-128, -1, 5, 127]
    relu, absolute = activation in ("relu", "both"), activation in ("absolute", "both")
    fields = convolution_fields(rows=4, cols=4, inputs=2, outputs=4, shift=-1)
    fields = changed(
        fields, LCTRL0={"relu": int(relu)}, POST={"absolute": int(absolute), "bias_enable": 1, "bias_start": 100}
    )
    accelerator = accelerator_with(fields)
    load(accelerator, image, kernels)
    load_bias(accelerator, 0, 100, bias)
    run(accelerator)
    expected = finish(correlate(image, kernels, 1) + 128 * np.array(bias), -1)
    if absolute:
        expected = np.minimum(np.abs(expected), 127)
    elif relu:
        expected = np.maximum(expected, 0)
    assert (read_pixels(accelerator, 16, 4, OUT) == expected).all()


def test_wide_output_is_the_accumulator() -> None:
    image, kernels = random_bytes(5, 3, 3, 4), random_bytes(6, 3, 4, 3, 3)
    fields = changed(convolution_fields(rows=3, cols=3, inputs=4, outputs=3), LCTRL0={"wide": 1, "relu": 1})
    accelerator = accelerator_with(fields)
    load(accelerator, image, kernels)
    run(accelerator)
    addresses = [[DEVICE.data_address(0, OUT + 4 * pixel + slot) for slot in range(3)] for pixel in range(9)]
    words = accelerator.read_block(np.array(addresses, dtype=np.uint32).reshape(-1)).view(np.int32)
    assert (words.reshape(9, 3) == correlate(image, kernels, 1)).all()


def test_sums_beyond_float32_are_exact() -> None:
    """64 processors x 4 passes x 9 taps of -128 * -128: 37,748,736 and an odd weight need more than 24 bits."""
    quadrants = (0, 1, 2, 3)
    fields = convolution_fields(rows=3, cols=3, inputs=16, outputs=1)
    fields = changed(fields, LCTRL0={"wide": 1}, LCTRL1={"passes": 3}, MCNT={"last": 3 * 8})
    accelerator = accelerator_with(fields, quadrants)
    put_layer(accelerator, 0, changed(fields, LCTRL0={"sources": 0b1110}), (0,))
    kernels = np.full((4, 9), -128, dtype=np.int8)
    kernels[0, 4] = -127
    for processor in range(64):
        load_kernels(accelerator, processor, 0, kernels if processor == 0 else np.full((4, 9), -128, dtype=np.int8))
    load_pixels(accelerator, np.full((36, 64), -128, dtype=np.int8))
    run(accelerator, quadrants)
    middle = accelerator.read(DEVICE.data_address(0, OUT + 4 * 4))
    assert middle == 64 * 4 * 9 * 128 * 128 - 128


def test_quadrants_add_with_kernels_and_biases_of_their_own_places() -> None:
    image, kernels = random_bytes(7, 4, 4, 20), random_bytes(8, 4, 20, 3, 3)
    fields = changed(convolution_fields(rows=4, cols=4, inputs=16, outputs=4, shift=-2), LCTRL0={"sources": 0b0110})
    accelerator = accelerator_with(fields, (0, 1, 2))
    bias = {"bias_enable": 1, "bias_start": 7}
    second = changed(
        fields,
        LCTRL0={"sources": 0},
        EN={"processors": 0xF, "kernels": 0xF},
        MCNT={"start": (9 * 21 // 9) * 8, "last": (9 * 21 // 9 + 3) * 8},
    )
    put_layer(accelerator, 0, second, (1,))
    put_layer(
        accelerator, 0, changed(fields, LCTRL0={"sources": 0}, EN={"processors": 0, "kernels": 0}, POST=bias), (2,)
    )
    load_pixels(accelerator, image.reshape(16, 20))
    for processor in range(20):
        column = 0 if processor < 16 else 21
        load_kernels(accelerator, processor, column, kernels[:, processor].reshape(4, 9))
    load_bias(accelerator, 2, 7, [1, -2, 3, -4])
    run(accelerator, (0, 1, 2))
    expected = finish(correlate(image, kernels, 1) + 128 * np.array([1, -2, 3, -4]), -2)
    assert (read_pixels(accelerator, 16, 4, OUT) == expected).all()


def test_several_input_and_output_passes() -> None:
    """Two input passes (words alternate) and two output passes of four slots, the second one ragged."""
    image, kernels = random_bytes(9, 4, 5, 8), random_bytes(10, 7, 8, 3, 3)
    fields = convolution_fields(rows=4, cols=5, inputs=4, outputs=4, shift=-3)
    fields = changed(
        fields,
        LCTRL1={"passes": 1, "write_step": 1, "expansion": 3 * 8},
        MCNT={"last": (7 * 2 - 1) * 8},
        WPTR_CHOFF={"step": 1},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, image.reshape(40, 4))
    for processor in range(4):
        both = kernels[:, [processor, processor + 4]]  # slot, pass
        load_kernels(accelerator, processor, 0, both.reshape(14, 9))
    run(accelerator)
    expected = finish(correlate(image, kernels, 1), -3)
    assert (read_pixels(accelerator, 20, 4, OUT, step=2) == expected[:, :4]).all()
    assert (read_pixels(accelerator, 20, 3, OUT + 1, step=2) == expected[:, 4:]).all()


@pytest.mark.parametrize("width", range(1, 10))
def test_one_dimensional_convolution_with_kernels_across_columns(width: int) -> None:
    image, kernels = random_bytes(11, 12, 1, 3), random_bytes(12, 5, 3, width, 1)
    start_byte, counter = (9 * 4) % width, (9 * 4) // width * 8
    fields = changed(
        convolution_fields(rows=12, cols=1, inputs=3, outputs=5, shift=-1),
        CCNT={"last": 0, "pad": 0},
        TPTR={"last": 0},
        ONED={"enable": 1, "width": width, "start_byte": start_byte},
        MCNT={"start": counter, "last": counter + 4 * 8},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, image.reshape(12, 3))
    for processor in range(3):
        load_kernels(accelerator, processor, 4, kernels[:, processor].reshape(5, width))
    run(accelerator)
    padded = np.pad(image, ((1, 1), (0, 0), (0, 0)))
    expected = finish(correlate(padded, kernels, 0), -1)
    assert (read_pixels(accelerator, len(expected), 5, OUT) == expected).all()


def test_linear_layer_over_passes_in_memory_order() -> None:
    """A flattened 2x2 image of 4 channels: four passes of one byte per kernel."""
    image, weights = random_bytes(13, 2, 2, 4), random_bytes(14, 3, 4, 4)  # outputs, inputs, pixels
    fields = changed(
        convolution_fields(rows=1, cols=1, inputs=4, outputs=3, pad=0, shift=-1),
        TPTR={"last": 0},
        ONED={"width": 1},
        LCTRL1={"passes": 3},
        MCNT={"last": (3 * 4 - 1) * 8},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, image.reshape(4, 4))
    for processor in range(4):
        load_kernels(accelerator, processor, 0, weights[:, processor].reshape(12, 1))
    run(accelerator)
    total = np.einsum("pc,ocp->o", image.reshape(4, 4).astype(np.int64), weights.astype(np.int64))
    assert (read_pixels(accelerator, 1, 3, OUT) == finish(total, -1)).all()


def test_flatten_extends_the_number_of_passes() -> None:
    image, weights = random_bytes(15, 5, 4, 1), random_bytes(16, 2, 20)
    fields = changed(
        convolution_fields(rows=1, cols=1, inputs=1, outputs=2, pad=0),
        TPTR={"start": 19, "last": 39},
        ONED={"width": 1},
        LCTRL1={"passes": 19 & 15},
        POST={"flatten": 1, "passes_high": 19 >> 4},
        MCNT={"last": (2 * 20 - 1) * 8},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, image.reshape(20, 1))
    load_kernels(accelerator, 0, 0, weights.reshape(40, 1))
    run(accelerator)
    expected = finish(weights.astype(np.int64) @ image.reshape(20).astype(np.int64), 0)
    assert (read_pixels(accelerator, 1, 2, OUT) == expected).all()


@pytest.mark.parametrize("pad", [0, 1, 2])
def test_transposed_convolution(pad: int) -> None:
    image, kernels = random_bytes(17, 3, 4, 2), random_bytes(18, 3, 2, 3, 3)
    edge = 2 - pad
    fields = changed(
        convolution_fields(rows=6, cols=8, inputs=2, outputs=3, pad=edge, shift=-1), POST={"transposed": 1}
    )
    accelerator = accelerator_with(fields)
    load(accelerator, image, kernels)
    run(accelerator)
    stuffed = np.zeros((6, 8, 2), dtype=np.int8)
    stuffed[::2, ::2] = image
    expected = finish(correlate(stuffed, kernels, edge), -1)
    assert (read_pixels(accelerator, len(expected), 3, OUT) == expected).all()


def test_chw_input_takes_four_pixels_a_word() -> None:
    image, kernels = random_bytes(24, 4, 6, 2), random_bytes(25, 3, 2, 3, 3)
    fields = changed(
        convolution_fields(rows=4, cols=6, inputs=2, outputs=3, shift=-1),
        LCTRL0={"parallel": 1},
        EN={"processors": 0x11, "kernels": 0x11},
    )
    accelerator = accelerator_with(fields)
    for channel in range(2):
        pixels = np.ascontiguousarray(image[:, :, channel]).reshape(-1).view("<u4")
        accelerator.write_words(DEVICE.data_address(channel, 0), pixels.astype(np.uint32))
        load_kernels(accelerator, 4 * channel, 0, kernels[:, channel].reshape(3, 9))
    run(accelerator)
    assert (read_pixels(accelerator, 24, 3, OUT) == finish(correlate(image, kernels, 1), -1)).all()


def test_write_gap_leaves_words_and_lanes_without_a_slot_untouched() -> None:
    image, kernels = random_bytes(26, 3, 3, 1), random_bytes(27, 3, 1, 3, 3)
    fields = changed(convolution_fields(rows=3, cols=3, inputs=1, outputs=3, shift=-1), LCTRL1={"write_step": 1})
    accelerator = accelerator_with(fields)
    load(accelerator, image, kernels)
    load_pixels(accelerator, np.full((18, 4), 77, dtype=np.int8), OUT)
    run(accelerator)
    found = read_pixels(accelerator, 18, 4, OUT)
    assert (found[0::2, :3] == finish(correlate(image, kernels, 1), -1)).all()
    assert (found[0::2, 3] == 77).all()
    assert (found[1::2] == 77).all()


def test_a_layer_may_overwrite_its_own_input() -> None:
    image, kernels = random_bytes(29, 4, 4, 4), random_bytes(30, 4, 4, 3, 3)
    fields = changed(convolution_fields(rows=4, cols=4, inputs=4, outputs=4, shift=-2), WPTR_BASE={"pointer": 0})
    accelerator = accelerator_with(fields)
    load(accelerator, image, kernels)
    run(accelerator)
    assert (read_pixels(accelerator, 16, 4) == finish(correlate(image, kernels, 1), -2)).all()
