"""Cases whose program says where kernels start: what that costs, and programs that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from tests.helpers.commands import cost

# Pooling after an element-wise operation, padding: the kind of layer where the kernels' start costs cycles.
LATE = """\
arch: test
dataset: none
layers:
  - {op: conv2d, eltwise: add, max_pool: 2, pool_stride: 2, pool_first: false, pad: 1, processors: 0xff0000,
     output_processors: 0xf, data_format: HWC}
  - {op: conv2d, kernel_size: 3x3, pad: 1, processors: 0xf, output_processors: 0xf, out_offset: 0x2000}
"""


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """A case of that network without a program."""
    (tmp_path / "network.yaml").write_text(LATE)
    (tmp_path / "meta.json").write_text('{"izer_args": []}')
    np.save(tmp_path / "input.npy", np.zeros((16, 8, 12), np.int8))
    np.savez(
        tmp_path / "weights.npz",
        w0=np.ones((4, 8, 3, 3), np.int8),
        w1=np.ones((4, 4, 3, 3), np.int8),
        quantization=[8, 8],
        output_shift=[0, 0],
    )
    return tmp_path


def write_program(case: Path, start: int, quadrants: tuple[int, ...] = (1,)) -> None:
    """The registers of layer 0 that say where its four kernels of 9 bytes are: from column `start` on, and in each
    further quadrant four columns higher."""
    device = load_device()
    writes: dict[int, int] = {}
    for number, quadrant in enumerate(quadrants):
        counter = 8 * (start + 4 * number)
        fields = {"EN": {"processors": 0xFF, "kernels": 0xFF}, "MCNT": {"start": counter, "last": counter + 24}}
        for name, values in fields.items():
            writes[device.register_address(name, quadrant, 0)] = device.registers[name].encode(values)
    np.savez(
        case / "program.npz",
        configure_addr=[*writes],
        configure_value=[*writes.values()],
        configure_kind=[0] * len(writes),
    )


def test_a_case_starts_its_kernels_where_its_program_does(late: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """384 and 1284 cycles are what ai8x-synthesis at ab4f4c0 prints without and with --weight-start 100."""
    assumed = cost(capsys, late)
    write_program(late, 0)
    assert cost(capsys, late) == assumed
    write_program(late, 100)
    content = cost(capsys, late)
    assert [layer["cycles"] for layer in assumed["cycles"]["layers"]] == [384, 216]
    assert [layer["cycles"] for layer in content["cycles"]["layers"]] == [1284, 216]
    assert content["layers"][0]["energy_uj"] == pytest.approx(assumed["layers"][0]["energy_uj"] * 1284 / 384, rel=1e-5)
    write_program(late, 96, quadrants=(1, 2))
    assert cost(capsys, late) == content


PROGRAMS = {
    "empty": b"",
    "cut off": b"PK\x03\x04",
    "one array": b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (0,), }".ljust(127) + b"\n",
    "text": b"configure_addr",
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_program_that_is_none_is_a_message(late: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (late / "program.npz").write_bytes(PROGRAMS[kind])
    assert main(["cost", str(late)]) == 2
    err = capsys.readouterr().err
    assert "program.npz: is " in err and "damaged" in err


@pytest.mark.parametrize(
    "changed",
    [
        {"value": None},
        {"value": np.zeros(1, int)},
        {"addr": np.zeros(4)},
        {"addr": np.array(4)},
        {"kind": np.array(["w"] * 4)},
        {"value": np.zeros((4, 1), int)},
        {"value": np.array([None] * 4)},
    ],
)
def test_a_program_of_other_arrays_is_a_message(
    late: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    arrays = {"addr": np.zeros(4, int), "value": np.zeros(4, int), "kind": np.zeros(4, int), **changed}
    kept = {f"configure_{part}": values for part, values in arrays.items() if values is not None}
    np.savez(late / "program.npz", **kept)
    assert main(["cost", str(late)]) == 2
    err = capsys.readouterr().err
    assert "program.npz: is " in err and "damaged" in err


@pytest.mark.slow
def test_a_flipped_bit_is_a_message_or_harmless(late: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_program(late, 100)
    content, expected = (late / "program.npz").read_bytes(), cost(capsys, late)["name"]
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        (late / "program.npz").write_bytes(flipped)
        code = main(["cost", str(late), "--json"])
        out, err = capsys.readouterr()
        assert code in (0, 2), position
        assert ("program.npz: is " in err and "damaged" in err) if code else json.loads(out)["name"] == expected
