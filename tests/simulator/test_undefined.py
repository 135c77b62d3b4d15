"""Memory that was never written: an error where it is used, no matter where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import (
    DEVICE,
    changed,
    convolution_fields,
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
BIAS = {"bias_enable": 1, "bias_start": 10}


def prepared(fields: dict[str, dict[str, int]], pixels: int = 16, inputs: int = 2) -> Accelerator:
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    put_layer(accelerator, 0, fields)
    load_pixels(accelerator, random_bytes(1, pixels, inputs))
    return accelerator


def kernels(accelerator: Accelerator, processor: int, count: int, column: int = 0) -> None:
    load_kernels(accelerator, processor, column, random_bytes(processor + 2, count, 9))


def test_an_unwritten_kernel_is_named() -> None:
    accelerator = prepared(convolution_fields(rows=4, cols=4, inputs=2, outputs=3))
    kernels(accelerator, 0, 3)
    kernels(accelerator, 1, 2)
    with pytest.raises(AcceleratorError, match=r"layer 0: kernel column 2 of processor 1, which was never written"):
        start(accelerator)


def test_an_unwritten_bias_byte_is_named() -> None:
    accelerator = prepared(changed(convolution_fields(rows=4, cols=4, inputs=2, outputs=3), POST=BIAS))
    for processor in range(2):
        kernels(accelerator, processor, 3)
    load_bias(accelerator, 0, 10, [1, 2])
    with pytest.raises(AcceleratorError, match=r"layer 0: bias byte 12 of quadrant 0, which was never written"):
        start(accelerator)


def test_an_unwritten_pixel_is_named() -> None:
    accelerator = prepared(convolution_fields(rows=4, cols=4, inputs=2, outputs=3), pixels=11)
    for processor in range(2):
        kernels(accelerator, processor, 3)
    with pytest.raises(
        AcceleratorError,
        match=r"layer 0: processor 0 reads byte 0 of data word 11 of instance 0 \(address 0x5040002c\)",
    ):
        start(accelerator)


def test_pixels_that_no_pooling_window_covers_may_be_unwritten() -> None:
    fields = changed(
        pass_fields(rows=5, cols=3, inputs=2), LCTRL0={"pool_enable": 1}, PRCNT={"last": 1}, STRIDE={"last": 1}
    )
    accelerator = prepared(fields, pixels=12)  # the fifth row is dropped
    start(accelerator)
    assert accelerator.done


def test_lanes_of_processors_that_are_off_do_not_matter() -> None:
    accelerator = prepared(changed(pass_fields(rows=2, cols=2, inputs=2), EN={"processors": 0b0100}), pixels=4)
    storage = accelerator.data
    storage.valid[0, :4, [0, 1, 3]] = False
    start(accelerator)
    stop(accelerator)
    storage.valid[0, :4, 2] = False
    start(accelerator)
    stop(accelerator)
    with pytest.raises(AcceleratorError, match=r"depends on what processor 2 reads byte 2 of data word 0"):
        accelerator.read(DEVICE.data_address(0, OUT))


def test_the_end_of_a_folded_signal_may_be_unwritten_where_its_weights_are_zero() -> None:
    """The last row ends early; only the kernel's middle column has weights, so only results in its columns suffer."""
    accelerator = prepared(convolution_fields(rows=4, cols=4, inputs=1, outputs=1), pixels=14, inputs=1)
    kernel = np.zeros((1, 9), dtype=np.int8)
    kernel[0, 1::3] = [1, 2, 3]
    load_kernels(accelerator, 0, 0, kernel)
    start(accelerator)
    stop(accelerator)
    addresses = np.array([DEVICE.data_address(0, OUT + pixel) for pixel in range(16)], dtype=np.uint32)
    defined = accelerator.defined_block(addresses) & 0xFF == 0xFF
    assert defined.reshape(4, 4).tolist() == [
        [True] * 4,
        [True] * 4,
        [True, True, False, False],
        [True, True, False, False],
    ]
    with pytest.raises(
        AcceleratorError, match=r"depends on what processor 0 reads byte 0 of data word 14 of instance 0"
    ):
        accelerator.read(int(addresses[15]))


def with_a_dummy_slot() -> Accelerator:
    """Slot 0 has no kernel (its lane has no channel), slots 1 and 2 have."""
    accelerator = prepared(convolution_fields(rows=4, cols=4, inputs=2, outputs=3))
    for processor in range(2):
        kernels(accelerator, processor, 2, column=1)
    return accelerator


def test_a_dummy_slot_leaves_an_undefined_lane() -> None:
    accelerator = with_a_dummy_slot()
    start(accelerator)
    stop(accelerator)
    address = np.array([DEVICE.data_address(0, OUT)], dtype=np.uint32)
    assert accelerator.defined_block(address).tolist() == [0x00FFFF00]
    copy = changed(pass_fields(rows=4, cols=4, inputs=4), RPTR_BASE={"word": OUT}, WPTR_BASE={"pointer": 0})
    put_layer(accelerator, 0, changed(copy, EN={"processors": 0b0110}))
    start(accelerator)
    stop(accelerator)
    assert (read_pixels(accelerator, 16, 2, 0) == read_pixels(accelerator, 16, 3, OUT)[:, 1:]).all()
    put_layer(accelerator, 0, changed(copy, EN={"processors": 0b0001}, WPTR_BASE={"pointer": 32}))
    start(accelerator)
    stop(accelerator)
    with pytest.raises(
        AcceleratorError,
        match=r"processor 0 reads byte 0 .*which depends on kernel column 0 of processor 0, which was never written",
    ):
        accelerator.read(DEVICE.data_address(0, 32))


def test_a_channel_without_a_kernel_may_be_unwritten() -> None:
    """As in a ragged last pass: the processor reads a byte that no channel has, and multiplies it by 0."""
    fields = convolution_fields(rows=4, cols=4, inputs=3, outputs=2)
    accelerator = prepared(fields, inputs=3)
    for processor in range(2):
        kernels(accelerator, processor, 2)
    load_kernels(accelerator, 2, 0, np.zeros((2, 9), dtype=np.int8))
    start(accelerator)
    stop(accelerator)
    right = read_pixels(accelerator, 16, 2, OUT)
    accelerator.data.valid[0, :16, 2] = False
    accelerator.data.bytes[0, :16, 2] = 99
    start(accelerator)
    stop(accelerator)
    assert (read_pixels(accelerator, 16, 2, OUT) == right).all()
    assert accelerator.defined_block(np.array([DEVICE.data_address(0, OUT)], np.uint32)).tolist() == [0xFFFF]
    kernel = np.zeros((2, 9), dtype=np.int8)
    kernel[1, 8] = 1
    load_kernels(accelerator, 2, 0, kernel)
    with pytest.raises(AcceleratorError, match=r"layer 0: processor 2 reads byte 2 of data word 0 of instance 0"):
        start(accelerator)


def test_a_copied_channel_that_is_unwritten_leaves_its_neighbours_alone() -> None:
    """Pooled and combined: what an undefined value goes into is undefined, and nothing else."""
    fields = changed(
        pass_fields(rows=4, cols=4, inputs=2),
        LCTRL0={"pool_enable": 1},
        PRCNT={"last": 1},
        PCCNT={"last": 1},
        STRIDE={"last": 1},
    )
    accelerator = prepared(fields)
    accelerator.data.valid[0, 5, 1] = False
    start(accelerator)
    stop(accelerator)
    addresses = np.array([DEVICE.data_address(0, OUT + pixel) for pixel in range(4)], np.uint32)
    assert accelerator.defined_block(addresses).tolist() == [0xFF, 0xFFFF, 0xFFFF, 0xFFFF]


def test_the_cause_is_that_of_the_slot_that_is_needed() -> None:
    """A dummy slot without a kernel does not hide the bias byte that a slot with a channel lacks."""
    accelerator = prepared(changed(convolution_fields(rows=4, cols=4, inputs=2, outputs=3), POST=BIAS))
    for processor in range(2):
        kernels(accelerator, processor, 2, column=1)
    load_bias(accelerator, 0, 10, [1, 2])
    with pytest.raises(AcceleratorError, match=r"layer 0: bias byte 12 of quadrant 0, which was never written"):
        start(accelerator)


def test_writing_the_weights_later_defines_the_lane() -> None:
    accelerator = with_a_dummy_slot()
    start(accelerator)
    stop(accelerator)
    for processor in range(2):
        kernels(accelerator, processor, 1)
    start(accelerator)
    stop(accelerator)
    read_pixels(accelerator, 16, 3, OUT)
    address = np.array([DEVICE.data_address(0, OUT)], dtype=np.uint32)
    assert accelerator.defined_block(address).tolist() == [0x00FFFFFF]


def test_a_wide_dummy_slot_is_a_word_that_cannot_be_read() -> None:
    accelerator = with_a_dummy_slot()
    put(accelerator, "LCTRL0", {"master": 1, "max_pool": 1, "global_write": 1, "wide": 1})
    start(accelerator)
    stop(accelerator)
    accelerator.read(DEVICE.data_address(0, OUT + 1))
    with pytest.raises(AcceleratorError, match=r"data word 4096 of instance 0 .*depends on kernel column 0"):
        accelerator.read(DEVICE.data_address(0, OUT))


def test_zeroed_memory_is_defined() -> None:
    accelerator = prepared(convolution_fields(rows=4, cols=4, inputs=2, outputs=3))
    put(accelerator, "TEST", {"mask_zero": 1})
    start(accelerator)
    stop(accelerator)
    assert (read_pixels(accelerator, 16, 3, OUT) == 0).all()
