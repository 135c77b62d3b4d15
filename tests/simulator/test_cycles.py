"""Cycles from decoded registers, against the vendor's figures and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offramp.corpus import replay
from offramp.corpus.case import OVERLAP
from offramp.corpus.case_files import read_program
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.cycles import LayerCycles, RunCycles
from tests.helpers.accelerator_programs import (
    DEVICE,
    Fields,
    changed,
    convolution_fields,
    idle,
    load_kernels,
    load_pixels,
    pass_fields,
    put_layer,
    random_bytes,
    start,
)


def cycles_of(fields: Fields) -> int:
    """Cycles of a run of one layer on a 4 x 4 image of four channels."""
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    load_pixels(accelerator, random_bytes(1, 16, 4))
    for processor in range(4):
        load_kernels(accelerator, processor, 0, random_bytes(processor, 6, 9))
    put_layer(accelerator, 0, fields)
    start(accelerator)
    return accelerator.cycles.total


def test_a_layer_that_copies_takes_two_cycles_to_fetch_a_pixel_and_one_to_write_it() -> None:
    assert cycles_of(pass_fields(rows=4, cols=4, inputs=4)) == 1 + 16 * 3


def test_pooling_takes_a_cycle_for_each_sample() -> None:
    pooled = changed(
        pass_fields(rows=4, cols=4, inputs=4),
        PRCNT={"last": 1},
        PCCNT={"last": 1},
        STRIDE={"last": 1},
        LCTRL0={"pool_enable": 1},
    )
    assert cycles_of(pooled) == 1 + 4 * (4 + 1 + 1)


def test_each_output_channel_of_a_convolution_takes_a_cycle_a_pixel() -> None:
    few = cycles_of(convolution_fields(rows=4, cols=4, inputs=4, outputs=3))
    assert cycles_of(convolution_fields(rows=4, cols=4, inputs=4, outputs=6)) - few == 16 * 3


def test_nothing_has_run_at_first() -> None:
    assert Accelerator(DEVICE).cycles == RunCycles(())


def test_input_through_the_fifo_overlaps_the_layers_that_stream() -> None:
    run = RunCycles((LayerCycles(0, 1000, True, 40), LayerCycles(1, 500, False, 0)))
    assert run.total == 1501
    assert run.finished(started=10, fed=20) == 10 + 1000 + 501  # the input comes faster than it is used
    assert run.finished(started=10, fed=5000) == 5000 + 40 + 501


@pytest.mark.slow
def test_every_layer_of_the_corpus(corpus: Path) -> None:
    """Equal to the vendor's figures for all layers that do not stream; the vendor takes half as much again for those
    that do, which is checked too."""
    compared, wrong = 0, list[tuple[object, ...]]()
    for case in sorted(path.parent for path in corpus.glob("cases/*/meta.json")):
        program, meta = read_program(case), json.loads((case / "meta.json").read_text())
        if not program:
            continue
        accelerator = Accelerator(DEVICE, overlap=OVERLAP in meta["izer_args"])
        for phase in meta["phase_order"]:
            replay.play(accelerator, program, phase)
        for vendor, layer in zip(meta["latency"]["layers"], accelerator.cycles.layers, strict=True):
            compared += 1
            cycles = -(-3 * layer.cycles // 2) if layer.streaming else layer.cycles
            if (cycles, layer.streaming) != (vendor["cycles"], vendor["streaming_estimate"]):
                wrong.append((case.name, vendor, layer))
        if not meta["latency"]["total_is_estimate"] and accelerator.cycles.total != meta["latency"]["total"]:
            wrong.append((case.name, meta["latency"]["total"], accelerator.cycles.total))
    assert not wrong
    assert compared >= 900
