"""Rolling data buffers in a network YAML: what of them layers read and write, what is wrong with them, their cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ai8x.load import load_network
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.ir.network import Layer, RollingBuffer, Shape

DEVICE = load_device()

HEAD = "arch: test\ndataset: none\n"
BUFFER = "data_buffer:\n  - {name: roll, processors: 0xffff0000, dim: %s, channels: 16, offset: 0x4000}\n"
LAYERS = """\
layers:
  - {op: conv2d, name: first, processors: 0xf, output_processors: 0xff, in_offset: 0, out_offset: 0x2000, pad: 1,
     data_format: HWC}
  - {op: none, in_sequences: roll, in_channels: 16, in_dim: %s, processors: 0xffff0000,
     output_processors: 0xffff0000, in_offset: %#x, out_offset: 0x4000, buffer_shift: 1}
  - {op: conv2d, in_sequences: first, processors: 0xff, output_processors: 0xffff0000, in_offset: 0x2000,
     out_offset: %#x, pad: 0, buffer_insert: 1}
  - {%s, in_sequences: Roll, processors: 0xffff0000, in_offset: 0x4000, out_offset: 0}
  - {op: none, processors: 0xfff, output_processors: 0xfff, out_offset: 0x1000}
  - {op: none, processors: 0xfff, output_processors: 0xfff, out_offset: 0}
"""
# (dim, what the shift and the last reader read, its offset and that of new rows), shape of the last weights, rows and
# columns of the network's input; cycles as ai8x-synthesis at ab4f4c0 prints them for these networks (--verbose, with
# --overlap-data).
VENDOR = {
    "1-D": (("10", "9", "op: conv1d, in_channels: 16, in_dim: 10, kernel_size: 5, pad: 2, max_pool: 2, pool_stride: 2",
             0x4004, 0x4024),
            "12x16x5", (3, 3), [138, 54, 42, 87, 25, 25]),
    "2-D": (("[10, 2]", "[9, 2]", "op: conv2d, in_channels: 16, in_dim: [10, 2], pad: 1", 0x4008, 0x4048),
            "12x16x3x3", (3, 4), [174, 108, 66, 364, 100, 100]),
    "flattened": (("10", "9", "op: mlp, in_channels: 160, in_dim: 10, flatten: true", 0x4004, 0x4024),
                  "12x160", (3, 3), [138, 54, 42, 140, 5, 5]),
    "reshaped": (("9", "[8, 1]", "op: conv2d, in_channels: 16, in_dim: [3, 3], pad: 1", 0x4004, 0x4020),
                 "12x16x3x3", (3, 3), [138, 48, 42, 174, 45, 45]),
}  # fmt: skip
PLAIN = "op: conv1d, in_channels: 16, in_dim: 10, kernel_size: 3, pad: 0"


def yaml_of(
    dim: str = "10", shifted: str = "9", reader: str = PLAIN, moved: int = 0x4004, inserted: int = 0x4024
) -> str:
    return HEAD + BUFFER % dim + LAYERS % (shifted, moved, inserted, reader)


def load(folder: Path, text: str, weights: str = "12x16x3", rows_and_cols: tuple[int, int] = (3, 3)) -> list[Layer]:
    path = folder / "network.yaml"
    path.write_text(text)
    found = load_network(
        path,
        DEVICE,
        weights=parse_shapes(f"8x4x3x3 16x8x3x3 {weights}"),
        input_shape=Shape(4, *rows_and_cols),
    )
    assert [buffer.name for buffer in found.buffers] == ["roll"]
    return list(found.layers)


@pytest.mark.parametrize("kind", VENDOR)
def test_cycles_are_the_vendors(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    parts, weights, (rows, cols), cycles = VENDOR[kind]
    load(tmp_path, yaml_of(*parts), weights, (rows, cols))
    assert main(["cost", str(tmp_path / "network.yaml"), "--input", f"4x{rows}x{cols}", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [layer["cycles"] for layer in content["cycles"]["layers"]] == cycles


def test_the_vendors_network_costs_the_same_as_a_case_and_as_a_file(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = corpus / "cases" / "syn-kinetics-kat"
    latency = json.loads((case / "meta.json").read_text())["latency"]
    found = []
    for arguments in ([case], [case / "network.yaml", "--input", "96x60x60", "--classes", "5"]):
        assert main(["cost", *map(str, arguments), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["layers"] == found[1]["layers"]
    assert [layer["cycles"] for layer in found[0]["cycles"]["layers"]] == [one["cycles"] for one in latency["layers"]]


def test_readers_name_no_layer(tmp_path: Path) -> None:
    layers = load(tmp_path, yaml_of())
    assert [layer.inputs for layer in layers] == [(-1,), (), (0,), (), (3,), (4,)]
    assert [layer.in_shape for layer in (layers[1], layers[3])] == [Shape(16, 9, 1), Shape(16, 10, 1)]


def test_without_a_shape_a_reader_reads_all(tmp_path: Path) -> None:
    whole = yaml_of(reader="op: conv1d, kernel_size: 3, pad: 0").replace("in_offset: 0x4000, ", "")
    reader = load(tmp_path, whole)[3]
    assert (reader.in_shape, reader.crop) == (Shape(16, 10, 1), (0, 0))


def test_offsets_say_which_rows_are_read_and_written(tmp_path: Path) -> None:
    layers = load(tmp_path, yaml_of())
    assert [layer.source for layer in layers] == [None, "roll", None, "roll", None, None]
    assert [layer.target for layer in layers] == [None, ("roll", 0), ("roll", 9), None, None, None]
    assert [layer.crop for layer in layers] == [(0, 0), (1, 0), (0, 0), (0, 0), (0, 0), (0, 0)]
    part = load(
        tmp_path, yaml_of().replace("in_dim: 10, ", "in_dim: 4, ").replace("in_offset: 0x4000", "in_offset: 0x4014")
    )
    assert (part[3].in_shape, part[3].crop) == (Shape(16, 4, 1), (5, 1))


def test_offsets_may_be_missing(tmp_path: Path) -> None:
    text = yaml_of(reader="op: conv1d, kernel_size: 3, pad: 0")
    for stated in ("in_offset: 0x4004, ", "out_offset: 0x4000, ", "\n     out_offset: 0x4024,", "in_offset: 0x4000, "):
        assert stated in text
        text = text.replace(stated, "", 1)
    for layer, other in zip(load(tmp_path, text), load(tmp_path, yaml_of()), strict=True):
        assert (layer.source, layer.target, layer.crop) == (other.source, other.target, other.crop)
        assert (layer.in_shape, layer.processors) == (other.in_shape, other.processors)


def test_an_insertion_goes_where_its_offset_lies(tmp_path: Path) -> None:
    second = "  - {name: other, processors: 0xffff0000, dim: 3, channels: 16, offset: 0x5000}\n"
    path = tmp_path / "network.yaml"
    path.write_text(yaml_of(inserted=0x5008).replace("layers:\n", f"{second}layers:\n"))
    weights = parse_shapes("8x4x3x3 16x8x3x3 12x16x3")
    found = load_network(path, DEVICE, weights=weights, input_shape=Shape(4, 3, 3))
    assert found.layers[2].target == ("other", 2)
    where = found.buffers[1].where
    assert found.buffers[1] == RollingBuffer("other", where, Shape(16, 3, 1), 0xFFFF0000, 0x5000)


WRONG = [
    ("dim: 10", "dim: [1, 2, 3]", 4, "`dim: [1, 2, 3]`; a length, or a list [rows, columns], is expected"),
    ("dim: 10, ", "", 4, "`dim` is missing"),
    ("offset: 0x4000}", "offset: -4}", 4, "`offset: -4`; a whole number >= 0 is expected"),
    ("channels: 16, offset", "channels: none, offset", 4, "`channels: none`; a whole number >= 1 is expected"),
    ("processors: 0xffff0000, dim", "processors: 0, dim", 4, "a 64-bit map of processors is expected"),
    ("name: roll", "nom: roll", 4, "unknown key `nom`; allowed: name, processors, dim"),
    ("name: roll", "name: 3", 4, "`name: 3`; text is expected"),
    ("name: roll", "name: INPUT", 4, "`INPUT` has a meaning of its own and cannot name a data buffer"),
    ("name: roll", "name: First", 4, "`name: First` names layer 0 already"),
    (
        "  - {name: roll",
        "  - 7\n  - {name: roll",
        4,
        "`data_buffer[0]: 7`; a mapping with `name`, `processors`",
    ),
    ("in_dim: 9", "in_dim: 11", 8, "ask for 16x11x1, but data buffer `roll` is 16x10x1"),
    ("in_channels: 16, in_dim: 10", "in_channels: 17, in_dim: 10", 12, "ask for 17x10x1, but data buffer `roll`"),
    ("in_sequences: Roll", "in_sequences: [Roll, first]", 12, "`roll` can only be the single input of a layer after"),
    ("op: conv1d", "eltwise: add, op: conv1d", 12, "`roll` can only be the single input of a layer after the first"),
    ("name: first,", "name: first, in_sequences: roll,", 6, "`roll` can only be the single input of a layer after"),
    (
        "op: none, in_sequences: roll",
        "op: conv2d, in_sequences: roll",
        9,
        "`buffer_shift` needs `op: passthrough`, with",
    ),
    ("op: none, in_sequences: roll", "op: none, in_sequences: first", 9, "and a data buffer in `in_sequences`"),
    (
        "op: none, in_sequences: roll",
        "op: none, max_pool: 2, in_sequences: roll",
        9,
        "passthrough`, without pooling, and",
    ),
    ("in_dim: 9", "in_dim: 8", 9, "`buffer_shift: 1` reads the 9 rows from 0x4004 on"),
    ("in_offset: 0x4004", "in_offset: 0x4008", 9, "`buffer_shift: 1` reads the 9 rows from 0x4004 on"),
    (
        "in_offset: 0x4004",
        "in_offset: 0x4028",
        9,
        "`in_offset: 0x4028` is no pixel of data buffer `roll`: 10 of 4 bytes",
    ),
    ("out_offset: 0x4000", "out_offset: 0x4004", 9, "`buffer_shift` writes at 0x4000 of data buffer `roll`"),
    ("out_offset: 0x4024", "out_offset: 0x4020", 11, "`buffer_insert` writes at 0x4024 of data buffer `roll`"),
    ("out_offset: 0x4024", "out_offset: 0x4026", 11, "`out_offset: 0x4026` is no pixel of data buffer `roll`"),
    (
        "buffer_insert: 1",
        "buffer_insert: 2",
        11,
        "inserts 16x1x1 as 2 row(s) into data buffer `roll`, which is 16x10x1",
    ),
    ("buffer_insert: 1", "buffer_insert: 1, output_width: 32", 11, "a data buffer holds 8-bit values, without gaps"),
    ("buffer_insert: 1", "buffer_insert: 1, write_gap: 1", 11, "a data buffer holds 8-bit values, without gaps"),
    ("in_offset: 0x4000, out_offset: 0}", "in_offset: 0x4004, out_offset: 0}", 12, "end behind data buffer `roll`"),
    ("in_sequences: Roll", "in_sequences: Roll, in_crop: 1", 12, "`in_crop` cannot be combined with a data buffer"),
    ("in_sequences: Roll", "in_sequences: 2", 12, "layer 2 writes to data buffer `roll`; name that in `in_sequences`"),
    ("in_sequences: Roll", "in_sequences: -2", 12, "`in_sequences`: there is no layer `-2`"),
]


@pytest.mark.parametrize(("found", "instead", "line", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, found: str, instead: str, line: int, message: str) -> None:
    text = yaml_of()
    assert found in text
    with pytest.raises(InputError) as caught:
        load(tmp_path, text.replace(found, instead, 1))
    said = [str(problem) for problem in caught.value.problems]
    assert any(one.startswith(f"{tmp_path}/network.yaml:{line}: ") and message in one for one in said), said
    assert not any("a limit of Offramp" in one for one in said)


@pytest.mark.parametrize("value", ["[]", "null", "roll", "{name: roll}", "3"])
def test_a_list_of_buffers_is_needed(tmp_path: Path, value: str) -> None:
    text = f"{HEAD}data_buffer: {value}\n{LAYERS % ('9', 0x4004, 0x4024, PLAIN)}"
    with pytest.raises(InputError, match=r"network.yaml:3: `data_buffer: .*`; a list with at least one entry is"):
        load(tmp_path, text)


def test_two_buffers_of_a_name(tmp_path: Path) -> None:
    second = BUFFER.splitlines()[1] % "4"
    text = yaml_of().replace("layers:\n", f"{second}\nlayers:\n")
    with pytest.raises(InputError, match=r"network.yaml:5: `name: roll` names data buffer 0 already"):
        load(tmp_path, text)
    both = text.replace("name: roll", "name: other", 1).replace("dim: 10, channels", "dim: 7, channels")
    with pytest.raises(InputError, match=r"ask for 16x9x1, but data buffer `roll` is 16x4x1"):
        load(tmp_path, both)


def test_layers_that_use_no_buffer_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, HEAD + LAYERS % ("9", 0x4004, 0x4024, PLAIN))
    said = str(caught.value)
    assert "layer 1: `buffer_shift` needs a `data_buffer` in the network" in said
    assert "layer 2: `buffer_insert` needs a `data_buffer` in the network" in said
