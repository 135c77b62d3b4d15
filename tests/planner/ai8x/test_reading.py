"""What a layer of a network YAML reads: `in_crop`, and inputs that are joined one behind the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ai8x.load import load_network
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.ir.network import Layer, Shape
from offramp.planner.rules.check import check_network

DEVICE = load_device()
HEAD = "arch: test\ndataset: none\nlayers:\n"
# The input is 4x6x2, what the layers write 8x6x2 and 8x4x2 (1-D: without columns).
PARTS = """\
  - {name: whole, op: conv2d, kernel_size: 1x1, pad: 0, processors: 0xf, output_processors: 0xff, out_offset: 0x1000,
     data_format: HWC}
  - {name: part, op: conv2d, kernel_size: 1x1, pad: 0, in_sequences: input, in_crop: [1, 1], processors: 0xf,
     output_processors: 0xff, in_offset: 0x8, out_offset: 0x1030}
"""
JOINED = """\
  - {op: conv2d, kernel_size: 1x1, pad: 0, processors: 0xff, in_sequences: [whole, part], in_offset: 0x1000,
"""


def load(folder: Path, layers: str, shapes: str = "8x4x1x1 8x4x1x1 3x8x1x1") -> tuple[Layer, ...]:
    path = folder / "network.yaml"
    path.write_text(HEAD + layers)
    network = load_network(path, DEVICE, weights=parse_shapes(shapes), input_shape=Shape(4, 6, 2))
    assert check_network(network, DEVICE) == ()
    return network.layers


def test_rows_are_left_out_in_front_and_behind(tmp_path: Path) -> None:
    part = load(tmp_path, PARTS, "8x4x1x1 8x4x1x1")[1]
    assert (part.in_shape, part.crop, part.in_offset) == (Shape(4, 4, 2), (2, 2), 8)


def test_where_the_cropped_input_lies_may_be_left_open(tmp_path: Path) -> None:
    layers = (
        "  - {op: conv2d, kernel_size: 1x1, pad: 0, processors: 0xf, output_processors: 0xff, out_offset: 0x1000,\n"
        "     data_format: HWC}\n"
        "  - {op: conv2d, kernel_size: 1x1, pad: 0, in_crop: 2, processors: 0xff}\n"
    )
    part = load(tmp_path, layers, "8x4x1x1 8x8x1x1")[1]
    assert (part.inputs, part.in_shape, part.crop, part.in_offset) == ((0,), Shape(8, 2, 2), (4, 4), 0x1010)


@pytest.mark.parametrize(
    ("asked", "shape", "crop"),
    [
        ("in_dim: [10, 2]", Shape(8, 10, 2), (0, 0)),
        ("in_dim: [20, 1]", Shape(8, 20, 1), (0, 0)),
        ("in_channels: 8, in_dim: [5, 4]", Shape(8, 5, 4), (0, 0)),
        ("out_offset: 0x2000", Shape(8, 10, 2), (0, 0)),
        ("in_dim: [7, 2], in_crop: [0, 3]", Shape(8, 7, 2), (0, 6)),
    ],
)
def test_inputs_of_different_sizes_follow_one_another(
    tmp_path: Path, asked: str, shape: Shape, crop: tuple[int, int]
) -> None:
    joined = load(tmp_path, PARTS + JOINED + f"     {asked}}}\n")[2]
    assert (joined.join, joined.in_shape, joined.crop) == ("pixels", shape, crop)


SAME = PARTS.replace(", in_crop: [1, 1]", "").replace("in_offset: 0x8", "in_offset: 0")


@pytest.mark.parametrize(
    ("asked", "offset", "join", "shape"),
    [
        ("in_dim: [12, 2]", 0x1030, "pixels", Shape(8, 12, 2)),
        ("in_channels: 8, in_dim: [12, 2]", 0x1030, "pixels", Shape(8, 12, 2)),
        ("in_channels: 16, in_dim: [6, 2]", 0x1000, "channels", Shape(16, 6, 2)),
        ("output_processors: 0x7", 0x1000, "channels", Shape(16, 6, 2)),
    ],
)
def test_those_of_the_same_size_if_that_is_asked(
    tmp_path: Path, asked: str, offset: int, join: str, shape: Shape
) -> None:
    beside = join == "channels"
    text = SAME.replace("out_offset: 0x1030", f"out_offset: {offset:#x}")
    if beside:
        text = text.replace("output_processors: 0xff, in_offset: 0,", "output_processors: 0xff00, in_offset: 0,")
    joined = JOINED.replace("processors: 0xff,", "processors: 0xffff,") if beside else JOINED
    shapes = f"8x4x1x1 8x4x1x1 3x{shape.channels}x1x1"
    found = load(tmp_path, text + joined + f"     {asked}}}\n", shapes)[2]
    assert (found.join, found.in_shape) == (join, shape)


WRONG = [
    (PARTS.replace("[1, 1]", "[3, 3]"), 6, "`in_crop: [3, 3]` leaves nothing of an input of 4x6x2"),
    (PARTS.replace("[1, 1]", "[1, 1], in_dim: [6, 2]"), 6, "the input is 4x6x2, of which `in_crop` leaves 4 rows"),
    (PARTS.replace("in_offset: 0x8", "in_offset: 0xc"), 6, "the input at 0x4, layer 0 reads it at 0x0"),
    (PARTS.replace("0x1030", "0x1034") + JOINED + "     in_dim: [10, 2]}\n", 8, "inputs at 0x1000, 0x1034"),
    (PARTS.replace("0xff, in", "0xff00, in") + JOINED + "     in_dim: [10, 2]}\n", 8, "inputs on different processors"),
    (PARTS + JOINED.replace("[whole, part]", "[input, part]") + "     in_channels: 8}\n", 8, "inputs of 4x6x2, 8x4x2"),
    (PARTS.replace("data_format: HWC", "data_format: CHW, in_crop: 1"), 4, "it takes HWC data that do not stream"),
    (
        PARTS + "  - {op: none, eltwise: add, in_sequences: whole, in_crop: 1, in_dim: [3, 2], processors: 0xff}\n",
        8,
        "`in_crop` of a tensor that holds several operands",
    ),
]


@pytest.mark.parametrize(("layers", "line", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, layers: str, line: int, message: str) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(HEAD + layers)
    said: list[str] = []
    try:
        shapes = parse_shapes("8x4x1x1 8x4x1x1 3x8x1x1")[: layers.count("kernel_size")]
        network = load_network(path, DEVICE, weights=shapes, input_shape=Shape(4, 6, 2))
        said = [str(problem) for problem in check_network(network, DEVICE)]
    except InputError as error:
        said = [str(problem) for problem in error.problems]
    assert any(one.startswith(f"{path}:{line}: ") and message in one for one in said), said
