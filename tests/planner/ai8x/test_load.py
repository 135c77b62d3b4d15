"""Network YAML: against what the vendor's tool made of the corpus, and what users get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.case import load_case
from offramp.planner.ai8x.load import Options, load_network
from offramp.planner.ai8x.weights import LayerWeights, parse_shapes
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from tests.helpers import checkpoints

DEVICE = load_device()

ROLLING_BUFFER = "syn-kinetics-kat"
DATA_BUFFER = (-2,)  # where the corpus notes down that a layer reads it; our layers then have no inputs
# In this case a layer reads what an earlier one left at its in_offset; the vendor's tool simulates the previous layer,
# a plain copy of the same data.
READS_BY_OFFSET = {("syn-test-resnet-4l", 3): (1,)}

CONV = """\
  - op: conv2d
    processors: 0x1
    out_offset: 0x2000
"""


def write(folder: Path, layers: str, head: str = "arch: test\ndataset: MNIST\n") -> Path:
    path = folder / "network.yaml"
    path.write_text(f"{head}layers:\n{layers}")
    return path


def load(
    folder: Path, layers: str, weights: str, shape: Shape | None = None, options: Options | None = None
) -> Network:
    path = write(folder, layers)
    return load_network(path, DEVICE, weights=parse_shapes(weights), input_shape=shape, options=options or Options())


def refused(folder: Path, layers: str, weights: str = "1x1x3x3", shape: Shape | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, layers, weights, shape)
    return str(caught.value).replace(f"{folder}/", "")


def as_recorded(layer: Layer) -> dict[str, Any]:
    """A layer in the words of the corpus' meta.json."""
    return {
        "op": layer.op,
        "name": layer.name or None,
        "in_channels": layer.in_shape.channels,
        "in_dim": [layer.in_shape.rows, layer.in_shape.cols],
        "pooled_dim": list(layer.pooled),
        "out_channels": layer.out_shape.channels,
        "out_dim": [layer.out_shape.rows, layer.out_shape.cols],
        "kernel_size": list(layer.kernel),
        "pad": list(layer.pad),
        "pool": list(layer.pool),
        "pool_average": layer.pool_average,
        "pool_first": layer.pool_first,
        "eltwise": layer.eltwise or "none",
        "operands": layer.operands,
        "activation": layer.activation,
        "flatten": layer.flatten,
        "quantization": layer.weight_bits if layer.has_weights else 0,
        "output_shift": layer.output_shift + 8 - layer.weight_bits,
        "output_width": layer.output_width,
        "streaming": layer.streaming,
        "data_format": layer.data_format,
        "in_offset": layer.in_offset,
        "out_offset": layer.out_offset,
        "processors": f"{layer.processors:#018x}",
        "output_processors": f"{layer.output_processors:#018x}",
        "write_gap": layer.write_gap,
        "has_weights": layer.weights is not None,
        "has_bias": layer.bias is not None,
    }


def test_every_network_of_the_corpus(corpus: Path) -> None:
    compared, wrong = 0, []
    for folder in sorted((corpus / "cases").iterdir()):
        case = load_case(folder, DEVICE)
        assert bool(case.network.buffers) == (folder.name == ROLLING_BUFFER)
        assert len(case.network.layers) == len(case.meta["layers"]), folder.name
        assert case.network.fifo == (case.meta["input"] == "fifo")
        for layer, entry in zip(case.network.layers, case.meta["layers"], strict=True):
            compared += 1
            found = as_recorded(layer)
            wrong += [(folder.name, layer.index, key) for key in found if found[key] != entry[key] and entry[key] != []]
            wrong += [(folder.name, layer.index, "dilation")] * (entry["dilation"][0] != layer.dilation)
            wrong += [(folder.name, layer.index, "stride")] * (entry["pool_stride"][0] != layer.pool_stride)
            inputs = tuple(entry["in_sequences"] or (layer.index - 1,))
            inputs = () if inputs == DATA_BUFFER else inputs
            expected = READS_BY_OFFSET.get((folder.name, layer.index), inputs)
            wrong += [(folder.name, layer.index, "inputs")] * (layer.inputs != expected)
    assert not wrong
    assert compared >= 990


def test_a_folder_that_is_no_case(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"meta\.json: cannot be read"):
        load_case(tmp_path, DEVICE)


def test_defaults_of_a_layer(tmp_path: Path) -> None:
    network = load(tmp_path, CONV + "  - op: mlp\n    flatten: true\n    processors: 0x3\n", "2x1x3x3 10x1568")
    first, last = network.layers
    assert network.input_shape == Shape(1, 28, 28) and network.name == "test"
    assert (first.kernel, first.pad, first.activation, first.output_width) == ((3, 3), (1, 1), "none", 8)
    assert (first.in_offset, first.out_offset, first.weight_bits, first.output_shift) == (0, 0x2000, 8, 0)
    assert (first.output_processors, first.inputs, first.data_format) == (0x3, (INPUT,), "HWC")
    assert (last.op, last.in_offset, last.out_offset, last.output_processors) == ("linear", 0x2000, None, 0x3FF)
    assert last.in_shape == Shape(2, 28, 28) and last.out_shape == Shape(10, 1, 1)
    assert first.where.line == 4 and last.where.line == 7


def test_the_planner_chooses_what_the_file_leaves_open(tmp_path: Path) -> None:
    network = load(tmp_path, "  - op: conv2d\n  - op: linear\n    flatten: true\n", "2x1x3x3 10x1568")
    for layer in network.layers:
        assert (layer.processors, layer.output_processors) == (0, 0)
        assert (layer.in_offset, layer.out_offset) == (None, None)


@pytest.mark.parametrize("key", ["op", "operation", "operator", "convolution"])
@pytest.mark.parametrize(
    ("value", "op"),
    [
        ("Conv2d", "conv2d"),
        ("MLP", "linear"),
        ("fc", "linear"),
        ("None", "passthrough"),
        ("Passthrough", "passthrough"),
    ],
)
def test_synonyms_of_operators(tmp_path: Path, key: str, value: str, op: str) -> None:
    weights = "" if op == "passthrough" else ("4x1x3x3" if op == "conv2d" else "4x1")
    assert load(tmp_path, f"  - {key}: {value}\n", weights).layers[0].op == op


@pytest.mark.parametrize(
    "text", ["0x0000_0000_0000_ff00", "'0x0000.0000.0000.ff00'", "65280", "'ff00'", "0xff00", "'0000_0000_0000_ff00'"]
)
def test_processors_as_number_or_text(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"  - op: none\n    processors: {text}\n", "").layers[0].processors == 0xFF00


def test_elementwise_operands_and_names(tmp_path: Path) -> None:
    layers = (
        "  - {op: none, name: left}\n  - {op: none, in_sequences: input}\n"
        "  - {op: add, in_sequences: [Left, 1]}\n  - {op: sub, in_sequences: [2, -1]}\n"
    )
    network = load(tmp_path, layers, "")
    assert [layer.inputs for layer in network.layers] == [(-1,), (-1,), (0, 1), (2, -1)]
    assert [layer.operands for layer in network.layers] == [1, 1, 2, 2]
    assert network.layers[3].in_shape == Shape(1, 28, 28)
    assert network.consumers(INPUT) == tuple(network.layers[index] for index in (0, 1, 3))


def test_concatenation_and_reshaping(tmp_path: Path) -> None:
    layers = (
        "  - {op: none}\n  - {op: none, in_sequences: -1}\n  - {op: none, in_sequences: [0, 1]}\n"
        "  - {op: conv1d, in_dim: 28, in_channels: 224, kernel_size: 3}\n"
    )
    network = load(tmp_path, layers, "5x224x3", Shape(4, 28, 28), Options())
    assert network.layers[2].in_shape == Shape(8, 28, 28)
    assert network.layers[3].in_shape == Shape(224, 28, 1) and network.layers[3].out_shape == Shape(5, 28, 1)


def test_interleaved_operands(tmp_path: Path) -> None:
    network = load(tmp_path, "  - {op: add}\n  - {op: xor, in_dim: [14, 28]}\n", "", Shape(8, 28, 28))
    assert network.layers[0].in_shape == Shape(4, 28, 28)
    assert network.layers[1].in_shape == Shape(4, 14, 28)
    assert "cannot be shared out" in refused(tmp_path, "  - {op: add}\n", "", Shape(3, 28, 28))
    assert "`in_dim` must say" in refused(tmp_path, "  - {op: add}\n  - {op: add}\n", "", Shape(8, 28, 28))


def test_a_layer_reads_what_lies_at_its_offset(tmp_path: Path) -> None:
    layers = (
        "  - {op: none, processors: 1, out_offset: 0x1000}\n  - {op: none, processors: 1, out_offset: 0x2000}\n"
        "  - {op: none, processors: 1, out_offset: 0x3000, in_offset: 0x1000}\n"
    )
    assert load(tmp_path, layers, "").layers[2].inputs == (0,)
    assert load(tmp_path, layers.replace("in_offset: 0x1000", "in_offset: 0"), "").layers[2].inputs == (INPUT,)
    text = refused(tmp_path, layers.replace("in_offset: 0x1000", "in_offset: 0x4000"), "")
    assert "network.yaml:6" in text and "name the layer in `in_sequences`" in text


def test_sources_of_width_and_shift(tmp_path: Path) -> None:
    weights = LayerWeights(
        name="w", shape=(2, 1, 3, 3), weights=np.ones((2, 1, 3, 3), np.int8), bits=2, output_shift=-1
    )
    plain = load_network(write(tmp_path, "  - {op: conv2d}\n"), DEVICE, weights=[weights]).layers[0]
    assert (plain.weight_bits, plain.output_shift) == (2, -1)
    said = load_network(
        write(tmp_path, "  - {op: conv2d, quantization: 4, output_shift: 3}\n"), DEVICE, weights=[weights]
    )
    assert (said.layers[0].weight_bits, said.layers[0].output_shift) == (4, 3)


def test_options_of_the_vendor_tool(tmp_path: Path) -> None:
    layers = "  - {op: conv2d, processors: 1}\n  - {op: conv2d, processors: 2}\n"
    options = Options(fifo=True, avg_pool_rounding=True, output_width=32, stop_after=0)
    network = load(tmp_path, layers, "1x1x3x3", None, options)
    assert network.fifo and network.avg_pool_rounding
    assert len(network.layers) == 1 and network.layers[0].output_width == 32
    assert network.layers[0].output_processors == 2


def test_shared_weights(tmp_path: Path) -> None:
    layers = "  - {op: conv2d, name: first}\n  - {op: conv2d, weight_source: first}\n"
    network = load(tmp_path, layers, "1x1x3x3")
    assert [layer.out_shape for layer in network.layers] == [Shape(1, 28, 28)] * 2
    assert "an earlier layer with weights" in refused(
        tmp_path, layers.replace("weight_source: first", "weight_source: 4")
    )


def test_all_that_is_wrong_at_once(tmp_path: Path) -> None:
    text = refused(
        tmp_path,
        "  - op: conv3d\n    pads: 1\n    processors: 0\n    max_pool: 2\n    avg_pool: 2\n"
        "  - op: conv2d\n    kernel_size: 3by3\n    activation: gelu\n    activate: relu\n    streaming: maybe\n",
    )
    for line, found in (
        (4, "`op: conv3d`; allowed: conv1d, conv2d"),
        (5, "unknown key `pads`; allowed: op, operation"),
        (6, "a 64-bit map of processors is expected"),
        (8, "`max_pool` and `avg_pool` exclude each other"),
        (10, "`kernel_size: 3by3`; a length such as 5, or rows x columns such as 3x3"),
        (12, "`activation` and `activate` mean the same"),
        (13, "`streaming: maybe`; true or false is expected"),
    ):
        assert any(one.startswith(f"network.yaml:{line}: ") and found in one for one in text.splitlines()), found


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("  - {op: conv2d, in_sequences: nowhere}\n", "there is no layer `nowhere`"),
        ("  - {op: conv2d, in_sequences: 0}\n", "layer 0 runs later"),
        ("  - {op: conv2d, max_pool: 32}\n", "a pooling window of 32x32 does not fit an input of 1x28x28"),
        ("  - {op: conv2d, pad: 0, max_pool: 14, pool_stride: 14}\n", "a kernel of 3x3 does not fit 2x2 pixels"),
        ("  - {op: conv2d, in_dim: [5, 5]}\n", "ask for 1x5x5, but the input is 1x28x28"),
        ("  - {op: conv2d, kernel_size: 1x1, pad: 0}\n", "1x1x1x1 is expected"),
        ("  - {op: conv2d, operands: 3}\n", "needs an element-wise operation"),
        ("  - {op: conv2d, pool_first: false}\n", "needs both pooling and an element-wise operation"),
        ("  - {op: none, dilation: 2}\n", "needs a convolution"),
        ("  - {op: conv2d, sequence: 3}\n", "in the order in which they run"),
        ("  - {op: conv2d, name: stop}\n", "cannot name a layer"),
        ("  - {op: linear, kernel_size: 3x3}\n", "has none"),
        ("  - conv2d\n", "`layers[0]: conv2d`; a mapping of keys is expected"),
        ("  []\n", "`layers: []`; a list with at least one entry is expected"),
        (
            "  - {op: conv2d}\n  - {op: conv2d}\n",
            "weights are given for 1 layer (--weights 1x1x3x3); the network has 2 layers with weights",
        ),
        ("  - {op: none}\n  - {op: add, in_sequences: [0, -1, 0]}\n", "2 operands, but `in_sequences` names 3 layers"),
        ("  - {op: none, name: a}\n  - {op: none, name: A}\n", "names layer 0 already"),
    ],
)
def test_what_a_layer_cannot_be(tmp_path: Path, layers: str, message: str) -> None:
    assert message in refused(tmp_path, layers)


def test_the_file_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"network\.yaml:1: unknown key `archs`.*\n.*`arch` is missing"):
        load_network(write(tmp_path, CONV, "archs: x\ndataset: MNIST\n"), DEVICE)
    with pytest.raises(InputError, match="cannot be read"):
        load_network(tmp_path / "absent.yaml", DEVICE)
    path = write(tmp_path, CONV, "arch: x\ndataset: my_own\n")
    with pytest.raises(InputError, match="give it with --input CxHxW"):
        load_network(path, DEVICE, weights=parse_shapes("1x1x3x3"))


def test_checkpoints_must_match(tmp_path: Path) -> None:
    path = write(tmp_path, CONV, "arch: mine\ndataset: MNIST\n")
    weights = np.ones((2, 1, 3, 3), np.float32)
    good = checkpoints.save(tmp_path / "good.pth.tar", {"a.op.weight": weights, "b.op.weight": weights}, "Mine")
    assert load_network(path, DEVICE, good).layers[0].out_shape == Shape(2, 28, 28)
    other = checkpoints.save(tmp_path / "other.pth.tar", {"a.op.weight": weights}, "yours")
    with pytest.raises(InputError, match=r"`arch: mine`, but .*other\.pth\.tar is a checkpoint of `yours`"):
        load_network(path, DEVICE, other)
    shape = checkpoints.save(tmp_path / "shape.pth.tar", {"a.op.weight": weights.reshape(1, 2, 3, 3)}, "mine")
    with pytest.raises(InputError, match=r"`a\.op` has the shape 1x2x3x3; 1x1x3x3 is expected"):
        load_network(path, DEVICE, shape)
    with pytest.raises(InputError, match="weights are given for no layer; the network has 1 layer with weights"):
        load_network(path, DEVICE)


@pytest.mark.parametrize("text", ["3", "3x", "3x3x3x3x3", "axb", "0x3", "3X3"])
def test_shapes_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="OUTxIN"):
        parse_shapes(text)
