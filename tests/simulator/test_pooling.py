"""Pooling, element-wise operations and pass-through layers on the accelerator model."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.accelerator_programs import (
    DEVICE,
    changed,
    convolution_fields,
    load_kernels,
    load_pixels,
    pass_fields,
    put_layer,
    random_bytes,
    read_pixels,
)
from tests.helpers.single_layers import OUT, Bytes, accelerator_with, correlate, finish, run


def pooled(image: Bytes, window: tuple[int, int], stride: int, rule: str) -> NDArray[np.int64]:
    rows = (image.shape[0] - window[0]) // stride + 1
    cols = (image.shape[1] - window[1]) // stride + 1
    result = np.zeros((rows, cols, image.shape[2]), dtype=np.int64)
    for row in range(rows):
        for col in range(cols):
            part = image[row * stride : row * stride + window[0], col * stride : col * stride + window[1]]
            mean = part.astype(np.int64).sum(axis=(0, 1)) / (window[0] * window[1])
            result[row, col] = {
                "max": part.max(axis=(0, 1)),
                "average": np.trunc(mean),
                "rounded": np.trunc(mean + np.copysign(0.5, mean)),
            }[rule]
    return result


@pytest.mark.parametrize("rule", ["max", "average", "rounded"])
@pytest.mark.parametrize(("window", "stride"), [((2, 2), 2), ((2, 3), 1), ((3, 1), 3), ((1, 1), 2), ((5, 4), 4)])
def test_pooling_in_a_pass_through_layer(rule: str, window: tuple[int, int], stride: int) -> None:
    image = random_bytes(19, 9, 8, 6)
    fields = changed(
        pass_fields(rows=9, cols=8, inputs=6),
        LCTRL0={"pool_enable": int(window != (1, 1)), "max_pool": int(rule == "max")},
        PRCNT={"last": window[0] - 1},
        PCCNT={"last": window[1] - 1},
        STRIDE={"last": stride - 1},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, image.reshape(72, 6))
    run(accelerator, switches={"pool_round": int(rule == "rounded")})
    expected = pooled(image, window, stride, rule).reshape(-1, 6)
    assert (read_pixels(accelerator, len(expected), 6, OUT) == expected).all()


def test_pool_size_has_no_effect_while_pooling_is_off() -> None:
    image = random_bytes(20, 4, 4, 4)
    accelerator = accelerator_with(changed(pass_fields(rows=4, cols=4, inputs=4), PRCNT={"last": 3}, PCCNT={"last": 3}))
    load_pixels(accelerator, image.reshape(16, 4))
    run(accelerator)
    assert (read_pixels(accelerator, 16, 4, OUT) == image.reshape(16, 4)).all()


@pytest.mark.parametrize(("code", "name"), [(0, "subtract"), (1, "add"), (2, "or"), (3, "xor")])
def test_element_wise_operands_are_adjacent_words(code: int, name: str) -> None:
    operands = random_bytes(21, 3, 3, 3, 4)  # rows, cols, operands, channels
    fields = changed(
        pass_fields(rows=3, cols=3, inputs=4),
        ONED={"width": 0, "eltwise_enable": 1, "eltwise_op": code, "operands": 2},
        POST={"one_by_one": 0},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, operands.reshape(27, 4))
    run(accelerator)
    wide = operands.astype(np.int64)
    first, second, third = wide[:, :, 0], wide[:, :, 1], wide[:, :, 2]
    expected = {
        "subtract": first - second - third,
        "add": first + second + third,
        "or": first | second | third,
        "xor": first ^ second ^ third,
    }[name]
    assert (read_pixels(accelerator, 9, 4, OUT) == np.clip(expected, -128, 127).reshape(9, 4)).all()


@pytest.mark.parametrize("pool_first", [0, 1])
def test_element_wise_before_or_after_pooling_then_convolution(pool_first: int) -> None:
    operands, kernels = random_bytes(22, 4, 4, 2, 4), random_bytes(23, 4, 4, 3, 3)
    fields = changed(
        convolution_fields(rows=4, cols=4, inputs=4, outputs=4, shift=-2),
        LCTRL0={"pool_enable": 1},
        PRCNT={"last": 1},
        PCCNT={"last": 1},
        STRIDE={"last": 1},
        TPTR={"last": 1},
        ONED={"eltwise_enable": 1, "eltwise_op": 1, "operands": 1, "eltwise_conv": 1, "pool_first": pool_first},
    )
    accelerator = accelerator_with(fields)
    load_pixels(accelerator, operands.reshape(32, 4))
    for processor in range(4):
        load_kernels(accelerator, processor, 0, kernels[:, processor].reshape(4, 9))
    run(accelerator)

    def saturated_sum(parts: NDArray[np.int64]) -> Bytes:
        values: Bytes = np.clip(parts[:, :, 0] + parts[:, :, 1], -128, 127).astype(np.int8)
        return values

    if pool_first:
        halves = [pooled(operands[:, :, index], (2, 2), 2, "max") for index in range(2)]
        image = saturated_sum(np.stack(halves, axis=2))
    else:
        image = pooled(saturated_sum(operands.astype(np.int64)), (2, 2), 2, "max").astype(np.int8)
    expected = finish(correlate(image, kernels, 1), -2)
    assert (read_pixels(accelerator, 4, 4, OUT) == expected).all()


def test_pass_through_writes_each_quadrant_at_its_own_pointer() -> None:
    image = random_bytes(28, 2, 2, 24)
    fields = changed(pass_fields(rows=2, cols=2, inputs=16))
    accelerator = accelerator_with(fields, (0, 1))
    other = changed(fields, EN={"processors": 0xFF}, WPTR_BASE={"pointer": DEVICE.pointer(9, 50)})
    put_layer(accelerator, 0, other, (1,))
    load_pixels(accelerator, image.reshape(4, 24))
    run(accelerator, (0, 1))
    assert (read_pixels(accelerator, 4, 16, OUT) == image.reshape(4, 24)[:, :16]).all()
    assert (read_pixels(accelerator, 4, 8, 50, instance=9) == image.reshape(4, 24)[:, 16:]).all()
