"""A program of the vendor's tool as our firmware: runtime, board and accelerator model together, on a known answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.codegen.assemble import control_guards, readable_writes, timing_guards
from offramp.codegen.firmware import BiasRun, BusWrite, Chunk, Firmware, InputLayout, InputRun, Model, StageCode, Tensor
from offramp.configs.device import load_device
from offramp.planner.ir.chain import ExitRule
from offramp.planner.spec.clocks import clock_setting
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Status
from offramp.simulator.board.run import run
from tests.helpers.firmware_builds import COMPILERS, build

DEVICE = load_device()
BYTE_WRITE = 3  # kind in program.npz


def firmware_of(case: Path) -> Firmware:
    """One stage: the vendor's bus writes as they are, for a network with one input channel of four pixels a word."""
    with np.load(case / "program.npz") as program, np.load(case / "expected.npz") as expected:
        writes = {phase: _writes(program, phase) for phase in ("init", "configure", "start")}
        chunks = np.split(
            np.arange(len(program["weights_addr"])), np.flatnonzero(program["weights_kind"] == BYTE_WRITE)
        )
        weights = tuple(
            _chunk(int(program["weights_addr"][chunk[0]]) & ~3, program["weights_value"][chunk[1:]])
            for chunk in chunks
            if len(chunk)
        )
        biases = BiasRun(int(program["bias_addr"][0]), program["bias_value"].astype(np.uint8).view(np.int8))
        places = tuple(expected["addr"].tolist())
        run_ = InputRun(int(program["input_addr"][0]), 4, (0,))
    meta = json.loads((case / "meta.json").read_text())
    shape = np.load(case / "input.npy").shape
    exit_ = ExitRule("max_probability", None, 14)
    quadrants = (0, 1, 2, 3)
    stage = StageCode(
        name="main",
        quadrants=quadrants,
        registers=tuple(sorted(writes["configure"], key=lambda write: write.address)),
        advance=(),
        restore=(),
        start=writes["start"],
        stop=init_control(writes["init"]),
        control=control_guards(writes["start"], DEVICE),
        least_cycles=0,
        most_cycles=8 * meta["latency"]["total"] + 2000,
        result=Tensor((len(places), 1, 1), 32, 4, places),
        exit=exit_,
    )
    layout = InputLayout((shape[0], shape[1], shape[2]), True, (run_,))
    return Firmware(
        name=case.name,
        models=(Model("main", layout, (stage,)),),
        quadrants=quadrants,
        clock=clock_setting(DEVICE),
        init=writes["init"],
        readable=readable_writes(quadrants, DEVICE),
        guards=timing_guards(quadrants, DEVICE),
        weights=weights,
        biases=(biases,),
    )


def init_control(writes: tuple[BusWrite, ...]) -> tuple[BusWrite, ...]:
    """What the start-up leaves in control registers."""
    controls = {DEVICE.register_address("CTRL", quadrant) for quadrant in range(4)}
    return tuple(write for write in writes if write.address in controls)


def _chunk(address: int, words: npt.NDArray[np.uint32]) -> Chunk:
    place = DEVICE.locate(address)
    assert place is not None
    base = DEVICE.weight_address(place.quadrant * DEVICE.geometry.processors_per_quadrant + place.unit)
    memory = DEVICE.memories["weights"]
    plain = base + place.index // DEVICE.express_stride * memory.word_stride
    return Chunk(address, words, plain, 4 * len(words) // memory.word_bytes)


def _writes(program: np.lib.npyio.NpzFile, phase: str) -> tuple[BusWrite, ...]:
    pairs = zip(program[f"{phase}_addr"].tolist(), program[f"{phase}_value"].tolist(), strict=True)
    return tuple(BusWrite(address, value) for address, value in pairs)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_vendors_mnist_answers_as_known(corpus: Path, compiler: str, tmp_path: Path) -> None:
    case = corpus / "cases" / "net-mnist"
    elf = build(firmware_of(case), tmp_path, compiler=compiler)
    image = np.load(case / "input.npy").astype(np.int8)
    with np.load(case / "expected.npz") as expected:
        known = expected["value"].astype("<u4").view("<i4")
    inputs = np.stack([image, np.zeros_like(image), image])
    board = run(elf, inputs, Accelerator(DEVICE), DEVICE)
    assert board.statuses == (Status.OK,) * 3
    assert board.values[0].tolist() == board.values[2].tolist() == known.tolist()
    assert board.values[1].tolist() != known.tolist()
    assert board.classes[0] == known.argmax()
