"""Firmwares with a probe on the virtual board, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.configs.device import Device
from offramp.host.files import write_tree
from offramp.pipeline.building import assembled, rendered
from offramp.pipeline.compile import compile_probe, find_compiler, library_sources, run_compiler
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.images import image_of
from offramp.pipeline.planning import Planned
from offramp.pipeline.probe import Findings, Probed, first_failure, judge, pattern, run_on_board
from offramp.pipeline.probe_log import read_log
from offramp.planner.ir.chain import Slot
from offramp.planner.ir.network import Layer
from offramp.planner.reference.layers import run_layer
from offramp.planner.reference.profile import chain_tensors, exit_indices, profile
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.run import run_program
from offramp.simulator.clock import Clock
from tests.helpers.plans import plan_of
from tests.helpers.specs import Family, write_spec

# Infers every input before and after each layer and each hardware exit that is probed; prints where the inputs leave.
_AFTERWARDS = """\
#include "offramp_port.h"
#include "offramp_probe.h"

static void poll_at_once(void *context)
{
    (void)context;
}

static bool answers(const offramp_probe_input_t *input, offramp_result_t *result, int32_t *values)
{
    return (offramp_infer(input->model, OFFRAMP_CHW, input->data, result) == OFFRAMP_OK) &&
           (offramp_output_words(values, 16u) == OFFRAMP_OK) &&
           (offramp_self_test(OFFRAMP_TEST_REGISTERS) == OFFRAMP_OK);
}

static bool probe(uint32_t number, const offramp_probe_input_t *input)
{
    uint32_t matches = 0u;
    return (number < offramp_probe.layer_count
                ? offramp_probe_run(&offramp_probe.layers[number], input)
                : offramp_probe_exit(&offramp_probe.exits[number - offramp_probe.layer_count], input, &matches)) ==
           OFFRAMP_OK;
}

static bool same(const offramp_probe_input_t *input, offramp_result_t *last)
{
    static int32_t values[2][16];
    bool good = true;
    for (uint32_t i = 0u; i < offramp_probe.layer_count + offramp_probe.exit_count; i++) {
        offramp_result_t first;
        good = good && answers(input, &first, values[0]) && probe(i, input);
        good = good && offramp_output_words(values[0], 16u) == OFFRAMP_NOT_READY;
        good = good && answers(input, last, values[1]);
        good = good && first.stage == last->stage && first.confidence == last->confidence;
        for (uint32_t k = 0u; k < 16u; k++) {
            good = good && values[0][k] == values[1][k];
        }
    }
    return good;
}

int main(void)
{
    const offramp_options_t options = {.wait = poll_at_once};
    offramp_statistics_t statistics = {0};
    bool good = offramp_open(offramp_probe.image, &options) == OFFRAMP_OK;
    for (uint32_t i = 0u; i < offramp_probe.input_count; i++) {
        offramp_result_t last = {0};
        good = good && same(&offramp_probe.inputs[i], &last);
        const char stage[2] = {(char)('0' + last.stage), 0};
        offramp_port_print(stage);
    }
    (void)offramp_statistics(&statistics);
    return good && statistics.reloads == 0u ? 0 : 1;
}
"""


class Board:
    """The firmware of a spec. `samples`: with one of the test data for each stage; else its input is the pattern."""

    def __init__(
        self, folder: Path, spec: str, family: Family, device: Device | None = None, *, samples: bool = False
    ) -> None:
        self.made = plan_of(write_spec(folder, spec, family), device)
        self.image = image_of(self.made)
        self.folder = folder / "firmware"
        self.clock = Clock(self.made.device)
        self.firmware = assembled(self.image, [evaluate_plan(self.made.plan) if samples else None])
        write_tree(self.folder, rendered(self.image, self.firmware))
        self.elf = self.compiled()

    def compiled(self, values: int | None = None) -> Path:
        elf = self.folder / f"probe{'' if values is None else values}.elf"
        compile_probe(self.folder, elf, values=values)
        return elf

    def printed(self, accelerator: Accelerator | None = None, elf: Path | None = None) -> str:
        accelerator = accelerator or Accelerator(self.made.device, self.clock)
        return run_on_board(elf or self.elf, self.image, accelerator, self.clock)

    def findings(self, accelerator: Accelerator | None = None) -> Findings:
        return judge(read_log(self.printed(accelerator), "board"), self.image)

    def probe(self, accelerator: Accelerator | None = None) -> tuple[Probed, ...]:
        return self.findings(accelerator).layers

    def failure(self, accelerator: Accelerator) -> Probed:
        found = first_failure(self.probe(accelerator))
        assert found is not None
        return found

    def run(self, program: str) -> tuple[int, str]:
        """The status of a program in the place of the probe's own, and what it prints."""
        (self.folder / "instead.c").write_text(program)
        tables = f"probe/{self.firmware.identifier}_probe.c"
        sources = [*library_sources(self.folder), "probe/offramp_probe.c", tables, "instead.c"]
        elf = self.folder / "instead.elf"
        run_compiler(find_compiler(), self.folder, sources, elf, ["-Isrc", "-Iprobe"])
        device = self.made.device
        return run_program(elf, Accelerator(device, self.clock), device, clock=self.clock)

    def stages_afterwards(self) -> list[int]:
        """The stages at which the inputs leave, each inferred before and after everything that can be probed; every
        time with the same answer and the registers as they should be."""
        status, stages = self.run(_AFTERWARDS)
        assert status == 0
        return [int(stage) for stage in stages]

    def expected_stages(self) -> list[int]:
        """What the integer reference says of the same."""
        x = [test.image for test in self.firmware.tests] or [pattern(self.made.chain)]
        found: list[int] = exit_indices(self.made.chain, profile(self.made.chain, np.stack(x))).tolist()
        return found


def slot_of(made: Planned, name: str) -> Slot:
    return next(slot for slot in made.chain.slots if slot.name == name)


def first_difference(made: Planned, slot: Slot, wrong: Layer) -> tuple[list[int], int, int]:
    """Place, wrong value and right value of the first difference if `wrong` runs in the place of a slot's layer."""
    tensors = chain_tensors(made.chain, pattern(made.chain)[None])
    expected = tensors[slot.writes][0]
    found = run_layer(wrong, [tensors[tensor] for tensor in slot.reads])[0]
    place = np.argwhere(found != expected)[0]
    return place.tolist(), int(found[tuple(place)]), int(expected[tuple(place)])


def wrong_bias(made: Planned, slot: Slot) -> tuple[dict[int, int], Layer]:
    """The sign of the bias of channel 5."""
    assert slot.layer.bias is not None
    place = made.plan.placed.placement.biases[slot.name]
    bias = slot.layer.bias.copy()
    bias[5] ^= -128
    return {made.device.bias_address(place.quadrant, place.start + 5): 0x80}, replace(slot.layer, bias=bias)
