"""The integer reference against a scalar restatement of the arithmetic, and its handling of batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from offramp.configs.device import load_device
from offramp.corpus.case import load_case
from offramp.planner.ir.network import INPUT, Layer, Shape
from offramp.planner.reference.layers import Tensor, run_layer, run_layers, run_network
from offramp.planner.reference.sequence import run_in_order
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()


def clip(value: int) -> int:
    return max(-128, min(127, value))


def scalar_pool(layer: Layer, x: npt.NDArray[np.int64], rounding: bool) -> npt.NDArray[np.int64]:
    """Pooling of (C, rows, cols), window by window."""
    out = np.zeros((x.shape[0], *layer.pooled), np.int64)
    for c, row, col in np.ndindex(out.shape):
        top, left = row * layer.pool_stride, col * layer.pool_stride
        window = [int(v) for v in x[c, top : top + layer.pool[0], left : left + layer.pool[1]].ravel()]
        if not layer.pool_average:
            out[c, row, col] = max(window)
            continue
        mean = Fraction(abs(sum(window)), len(window))
        magnitude = floor(mean + Fraction(1, 2)) if rounding else floor(mean)
        out[c, row, col] = magnitude if sum(window) > 0 else -magnitude
    return out


def scalar_layer(layer: Layer, x: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A convolution of (C, rows, cols), sum by sum."""
    assert layer.weights is not None
    x = scalar_pool(layer, x, rounding=False)
    out = np.zeros((layer.out_shape.channels, layer.out_shape.rows, layer.out_shape.cols), np.int64)
    for o, row, col in np.ndindex(out.shape):
        acc = 128 * int(layer.bias[o]) if layer.bias is not None else 0
        for c, i, j in np.ndindex(*layer.weights.shape[1:]):
            y, z = row + i * layer.dilation - layer.pad[0], col + j * layer.dilation - layer.pad[1]
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                acc += int(layer.weights[o, c, i, j]) * int(x[c, y, z])
        if layer.output_width == 32:
            out[o, row, col] = acc
            continue
        shift = layer.output_shift + 8 - layer.weight_bits
        value = clip(floor(Fraction(1, 2) + acc * Fraction(2) ** shift / 128))
        out[o, row, col] = {"none": value, "relu": max(value, 0), "abs": min(abs(value), 127)}[layer.activation]
    return out


def images(shape: Shape, count: int = 2, seed: int = 1) -> npt.NDArray[np.int8]:
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (count, shape.channels, shape.rows, shape.cols)).astype(np.int8)


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    oned = draw(st.booleans())
    kernel = (draw(st.integers(1, 4)), 1) if oned else draw(st.sampled_from([(1, 1), (3, 3)]))
    pad = draw(st.integers(0, 2))
    layer = make_layer(
        Shape(draw(st.integers(1, 4)), draw(st.integers(8, 11)), 1 if oned else draw(st.integers(6, 9))),
        draw(st.integers(1, 3)),
        rng,
        op="conv1d" if oned else "conv2d",
        kernel=kernel,
        pad=(pad, 0 if oned else pad) if kernel != (1, 1) else (0, 0),
        dilation=draw(st.integers(1, 2)) if oned else 1,
        pool=(draw(st.integers(1, 2)), 1 if oned else draw(st.integers(1, 3))),
        pool_stride=draw(st.integers(1, 2)) if not oned else 1,
        pool_average=draw(st.booleans()),
        weight_bits=draw(st.sampled_from([1, 2, 4, 8])),
        output_shift=draw(st.integers(-8, 8)),
        output_width=draw(st.sampled_from([8, 8, 8, 32])),
        activation=draw(st.sampled_from(["none", "relu", "abs"])),
    )
    assume(layer.out_shape.rows > 0 and layer.out_shape.cols > 0)
    bias = rng.integers(-128, 128, layer.out_shape.channels).astype(np.int8)
    return replace(layer, bias=bias if draw(st.booleans()) else None)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_convolution_equals_scalar_arithmetic(layer: Layer) -> None:
    x = images(layer.in_shape)
    result = run_layer(layer, [x])
    assert result.dtype == (np.int32 if layer.output_width == 32 else np.int8)
    expected = np.stack([scalar_layer(layer, image.astype(np.int64)) for image in x])
    assert np.array_equal(result, expected)


@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize("average", [False, True])
def test_pooling_equals_scalar_arithmetic(average: bool, rounding: bool) -> None:
    layer = make_layer(Shape(2, 9, 7), 0, op="passthrough", pool=(3, 2), pool_stride=2, pool_average=average)
    x = images(layer.in_shape)
    expected = np.stack([scalar_pool(layer, image.astype(np.int64), rounding) for image in x])
    assert np.array_equal(run_layer(layer, [x], rounding), expected)


def test_average_pooling_truncates_toward_zero_and_rounds_half_away() -> None:
    layer = make_layer(Shape(1, 1, 2), 0, op="passthrough", pool=(1, 2), pool_stride=2, pool_average=True)
    x = np.array([[3, 4], [-3, -4], [1, 2]], np.int8).reshape(3, 1, 1, 2)
    assert run_layer(layer, [x]).ravel().tolist() == [3, -3, 1]
    assert run_layer(layer, [x], avg_pool_rounding=True).ravel().tolist() == [4, -4, 2]


def test_conv1d_ignores_pool_rounding() -> None:
    layer = make_layer(
        Shape(1, 2, 1), 1, op="conv1d", kernel=(1, 1), pad=(0, 0), pool=(2, 1), pool_average=True, output_width=32
    )
    layer = replace(layer, weights=np.ones((1, 1, 1, 1), np.int8))
    x = np.array([3, 4], np.int8).reshape(1, 1, 2, 1)
    assert run_layer(layer, [x], avg_pool_rounding=True).ravel().tolist() == [3]


@pytest.mark.parametrize("eltwise", ["add", "sub", "or", "xor"])
def test_elementwise_saturates_once(eltwise: str) -> None:
    layer = make_layer(Shape(1, 1, 3), 0, op="passthrough", operands=3, eltwise=eltwise, inputs=(0, 1, 2))
    a = np.array([100, -100, 4], np.int8).reshape(1, 1, 1, 3)
    b = np.array([127, -100, 0], np.int8).reshape(1, 1, 1, 3)
    c = np.array([91, -100, 2], np.int8).reshape(1, 1, 1, 3)
    values = [(int(p), int(q), int(r)) for p, q, r in zip(a.ravel(), b.ravel(), c.ravel(), strict=True)]
    operations: dict[str, Callable[[int, int, int], int]] = {
        "add": lambda p, q, r: p + q + r,
        "sub": lambda p, q, r: p - q - r,
        "or": lambda p, q, r: p | q | r,
        "xor": lambda p, q, r: p ^ q ^ r,
    }
    assert [clip(operations[eltwise](*v)) for v in values] == run_layer(layer, [a, b, c]).ravel().tolist()


def test_elementwise_before_and_after_pooling() -> None:
    a = np.array([100, -100], np.int8).reshape(1, 1, 1, 2)
    b = np.array([-100, 100], np.int8).reshape(1, 1, 1, 2)
    layer = make_layer(Shape(1, 1, 2), 0, op="passthrough", operands=2, eltwise="add", inputs=(0, 1), pool=(1, 2))
    assert run_layer(layer, [a, b]).item() == 127  # max of each, then their saturated sum
    assert run_layer(replace(layer, pool_first=False), [a, b]).item() == 0  # sums, then the largest


def test_32_bit_elementwise_is_not_clipped() -> None:
    layer = make_layer(Shape(1, 1, 1), 0, op="passthrough", operands=2, eltwise="add", inputs=(0, 1), output_width=32)
    x = np.full((1, 1, 1, 1), 100, np.int8)
    result = run_layer(layer, [x, x])
    assert result.item() == 200 and result.dtype == np.int32


def test_operands_of_one_producer_alternate_by_pixel() -> None:
    layer = make_layer(Shape(1, 1, 2), 0, op="passthrough", operands=2, eltwise="sub")
    x = np.array([10, 1, 20, 2], np.int8).reshape(1, 1, 1, 4)
    assert run_layer(layer, [x]).ravel().tolist() == [9, 18]
    side_by_side = x.reshape(1, 2, 1, 2)  # the first layer's operands lie along the channels
    assert run_layer(layer, [side_by_side]).ravel().tolist() == [10 - 20, 1 - 2]


def test_concatenation_follows_the_order_of_inputs() -> None:
    layer = make_layer(Shape(3, 1, 1), 0, op="passthrough", inputs=(1, 0))
    a, b = images(Shape(2, 1, 1)), images(Shape(1, 1, 1), seed=2)
    assert np.array_equal(run_layer(layer, [a, b]), np.concatenate([a, b], axis=1))


def test_transposed_convolution_is_correlation_over_zero_stuffed_input() -> None:
    layer = make_layer(Shape(2, 3, 4), 2, op="convtranspose2d", pad=(1, 1), output_width=32)
    x = images(layer.in_shape, 1)
    stuffed = np.zeros((1, 2, 6, 8), np.int8)
    stuffed[:, :, ::2, ::2] = x
    plain = replace(layer, op="conv2d", in_shape=Shape(2, 6, 8))
    assert run_layer(layer, [x]).shape == (1, 2, 6, 8)
    assert np.array_equal(run_layer(layer, [x]), run_layer(plain, [stuffed]))


def test_large_sums_are_exact() -> None:
    """Sums beyond 2**24, where float32 would round: odd, so that the last bit shows."""
    layer = make_layer(Shape(64, 4, 4), 1, op="linear", flatten=True, output_width=32)
    weights = np.full((1, 1024, 1, 1), 127, np.int8)
    weights[0, 0] = 1
    x = np.full((1, 64, 4, 4), 127, np.int8)
    x[0, 0, 0, 0] = 1
    layer = replace(layer, weights=weights, bias=np.array([127], np.int8))
    assert run_layer(layer, [x]).item() == 1023 * 127 * 127 + 1 + 127 * 128
    wide = make_layer(Shape(64, 16, 16), 1, op="linear", flatten=True, output_width=32)
    wide = replace(wide, weights=np.full((1, 16384, 1, 1), -128, np.int8))
    assert run_layer(wide, [np.full((1, 64, 16, 16), -127, np.int8)]).item() == 16384 * 128 * 127


def test_reshape_between_layers() -> None:
    """1-D data may be read as an image of the same number of values."""
    layer = make_layer(Shape(2, 4, 2), 0, op="passthrough")
    x = images(Shape(2, 8, 1))
    assert np.array_equal(run_layer(layer, [x]), x.reshape(2, 2, 4, 2))


def test_batches_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_layer(Shape(3, 8, 8), 4, activation="relu", output_shift=-2)
    network = make_network(first, make_layer(first.out_shape, 2, output_shift=-2))
    x = images(network.input_shape, 7)
    whole = run_network(network, x, keep=(0,))
    assert set(whole) == {0, 1} and whole[1].shape == (7, 2, 8, 8)
    monkeypatch.setattr("offramp.planner.reference.layers._BATCH_BYTES", 1)
    for index, tensor in run_network(network, x, keep=(0,)).items():
        assert np.array_equal(tensor, whole[index])


def test_a_part_runs_from_given_tensors() -> None:
    first = make_layer(Shape(3, 8, 8), 4, output_shift=-2)
    network = make_network(first, make_layer(first.out_shape, 2), make_layer(Shape(2, 8, 8), 2))
    x = images(network.input_shape)
    whole = run_network(network, x, keep=(0,))
    assert np.array_equal(run_layers(network.layers[1:], {0: whole[0]})[2], whole[2])


def test_empty_batch_has_shapes() -> None:
    network = make_network(make_layer(Shape(3, 8, 8), 4))
    assert run_network(network, images(network.input_shape, 0))[0].shape == (0, 4, 8, 8)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "no tensor for producer -1"),
        ({INPUT: np.zeros((1, 3, 8, 8), np.int32)}, "int32"),
        ({INPUT: np.zeros((3, 8, 8), np.int8)}, "3 dimensions"),
        ({INPUT: np.zeros((1, 3, 8, 7), np.int8)}, "its input is 3x8x7"),
        ({INPUT: np.zeros((1, 3, 8, 8), np.int8), 5: np.zeros((2, 1, 1, 1), np.int8)}, "same number"),
    ],
)
def test_wrong_tensors_are_refused(tensors: dict[int, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_layers([make_layer(Shape(3, 8, 8), 4)], tensors)


def test_activation_after_passthrough_is_refused() -> None:
    layer = make_layer(Shape(1, 2, 2), 0, op="passthrough", activation="relu")
    with pytest.raises(ValueError, match="passthrough"):
        run_layer(layer, [images(layer.in_shape)])


# A rolling buffer that is shifted is an array with zeros at its end for the vendor's simulation; in memory the last row
# stays until the new one is inserted. Nothing reads it in between.
SHIFTED = ("syn-kinetics-kat", "out16")
# The vendor's simulation splits the channels of the only producer; in memory the operands alternate by pixel.
SPLIT_BY_CHANNEL = {"test-multilayer-eltwise", "test-multilayer-eltwise__write-zero-registers"}


def test_every_stored_output_of_the_corpus(corpus: Path) -> None:
    folders = [path.parent for path in sorted(corpus.glob("cases/*/outputs.npz"))]
    wrong, compared = [], 0
    for folder in folders:
        case = load_case(folder, DEVICE)
        results = run_in_order(case.network, case.sample[None], keep=range(len(case.network.layers)))
        for name, expected in np.load(folder / "outputs.npz").items():
            index = case.network.layers[-1].index if name == "final" else int(name.removeprefix("out"))
            compared += 1
            if (folder.name, name) == SHIFTED:
                assert not expected.any() and not results[index].any()
                continue
            if not np.array_equal(results[index][0].ravel(), expected.ravel()):
                wrong.append((folder.name, name))
    assert {case for case, _ in wrong} == SPLIT_BY_CHANNEL & {folder.name for folder in folders}
    assert all(name != "out0" for _, name in wrong)
    assert compared >= len(folders)


@pytest.mark.parametrize("name", sorted(SPLIT_BY_CHANNEL))
def test_vendor_answer_of_operands_split_by_channel(corpus: Path, name: str) -> None:
    """The exceptions of the test above are that one difference and nothing else."""
    folder = corpus / "cases" / name
    case, outputs = load_case(folder, DEVICE), np.load(folder / "outputs.npz")
    for layer in case.network.layers[1:]:
        producer = outputs[f"out{layer.index - 1}"].astype(np.int8)[None]
        halves = [half.reshape(1, *outputs[f"out{layer.index}"].shape) for half in np.split(producer, 2, axis=1)]
        assert np.array_equal(run_layer(layer, halves)[0], outputs[f"out{layer.index}"])
