"""A program of the vendor's tool as our firmware: runtime, board and accelerator model together, on a known answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from offramp.codegen.firmware import BiasRun, BusWrite, Chunk, Firmware, InputLayout, InputRun, Logit, StageCode
from offramp.configs.device import load_device
from offramp.planner.ir.chain import ExitRule
from offramp.simulator.accelerator import Accelerator
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
            Chunk(int(program["weights_addr"][chunk[0]]) & ~3, program["weights_value"][chunk[1:]])
            for chunk in chunks
            if len(chunk)
        )
        biases = BiasRun(int(program["bias_addr"][0]), program["bias_value"].astype(np.uint8).view(np.int8))
        logits = tuple(Logit(int(address)) for address in expected["addr"])
        run_ = InputRun(int(program["input_addr"][0]), 4, (0,))
    meta = json.loads((case / "meta.json").read_text())
    shape = np.load(case / "input.npy").shape
    exit_ = ExitRule("max_probability", None, 14)
    stage = StageCode("main", writes["start"], (0, 1, 2, 3), meta["latency"]["total"], logits, exit_)
    layout = InputLayout((shape[0], shape[1], shape[2]), True, (run_,))
    return Firmware(
        name=case.name,
        quadrants=(0, 1, 2, 3),
        init=writes["init"],
        configure=writes["configure"],
        transitions={},
        weights=weights,
        biases=(biases,),
        input=layout,
        stages=(stage,),
    )


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
    assert board.errors.tolist() == [0, 0, 0]
    assert board.logits[0].tolist() == board.logits[2].tolist() == known.tolist()
    assert board.logits[1].tolist() != known.tolist()
    assert board.classes[0] == known.argmax()
