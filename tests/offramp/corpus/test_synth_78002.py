"""`offramp synth`, `offramp diff` and cuts of the vendor's networks for the MAX78002."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offramp.codegen.lower import lower
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.case import load_case
from offramp.corpus.case_files import read_outputs
from offramp.corpus.cuts import judge_both_ways
from offramp.corpus.diff import diff_case
from offramp.corpus.synth import place_case, synth_case
from offramp.planner.allocation.place import place
from offramp.planner.ir.chain import cut
from offramp.planner.ir.cuts import legal_cuts
from tests.helpers.paths import SHARED

DEVICE = load_device("MAX78002")
CORPUS = SHARED / "corpus78002"
SAMPLE = 12  # one of so many cases
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is missing")

# Not supported: snoop units in a YAML, and dilated windows that the vendor's tool lets reach past the image.
REFUSED = ("test-snoop", "rand-pool-4006", "rand-pool-5001")


def supported() -> list[Path]:
    return [one for one in sorted((CORPUS / "cases").iterdir()) if not one.name.startswith(REFUSED)]


def cases() -> list[Path]:
    """A sample, and some cases of everything that only this device has."""
    names = (
        "own-", "limit-", "test-bypass", "test-linklayer", "test-eltwiseadd-avgpool", "test-depthwise", "net-mnist",
        "test-ffsx4", "rand-x4",
    )  # fmt: skip
    found = supported()
    return [one for number, one in enumerate(found) if number % SAMPLE == 0 or one.name.startswith(names)]


def test_our_programs_give_the_vendors_answers() -> None:
    assert {case.name: reasons for case in cases() if (reasons := synth_case(case, DEVICE))} == {}


@pytest.mark.slow
def test_all_our_programs_do() -> None:
    found = supported()
    assert {case.name: reasons for case in found if (reasons := synth_case(case, DEVICE))} == {} and len(found) == 436


def test_our_registers_differ_from_the_vendors_for_known_reasons_only() -> None:
    for case in cases():
        found = diff_case(case, DEVICE)
        assert (found.unexplained, found.refused) == ((), ()), case.name


def test_weights_packed_by_the_rule_give_answers_that_the_vendors_own_program_does_not() -> None:
    """Cases whose program does not give its own answer, because the vendor's tool packs kernels wrongly."""
    lines = (CORPUS / "suspect" / "INDEX.tsv").read_text(encoding="utf-8").splitlines()
    wrong = [line.split("\t")[0] for line in lines if "packing defect" in line]
    assert len(wrong) == 15
    assert {name: synth_case(CORPUS / "suspect" / name, DEVICE) for name in wrong} == dict.fromkeys(wrong, ())


@pytest.mark.parametrize("name", ["net-mnist", "own-exit-head"])
def test_a_cut_network_answers_as_the_whole_one_and_a_switch_writes_little(name: str) -> None:
    """The stages have layer slots of their own: a switch writes only which of them run, in each quadrant."""
    folder = CORPUS / "cases" / name
    case = load_case(folder, DEVICE)
    shape = case.network.layers[-1].out_shape
    answer = read_outputs(folder)["final"].astype(np.int32).reshape(shape.channels, shape.rows, shape.cols)
    for after in legal_cuts(case.network):
        placed = place(cut("network", case.network, after), DEVICE)
        switching = lower(placed).switching
        for pair in ((0, 1), (1, 0)):
            writes = switching.transition(*pair)
            names = {found.name for write in writes if (found := DEVICE.locate(write.address))}
            assert names == {"LCNT_MAX"} and 1 <= len(writes) <= 4
        assert judge_both_ways(placed, [case.sample] * 2, [answer] * 2, np.random.default_rng(after)) == ()


def test_snoop_units_of_a_yaml_are_refused() -> None:
    with pytest.raises(InputError, match="no snooping"):
        load_case(CORPUS / "cases" / "test-snoop-count", DEVICE)


def test_kernels_at_once_lie_in_all_physical_memories_and_depthwise_ones_in_one() -> None:
    bank = DEVICE.memories["weights"].bank_words
    placed = place_case(load_case(CORPUS / "cases" / "rand-x4-5001", DEVICE), DEVICE)
    blocks = [block for block in placed.problem.weights if len(block.copies) > 1]
    assert blocks and all(block.copies == (0, bank, 2 * bank, 3 * bank) for block in blocks)
    placed = place_case(load_case(CORPUS / "cases" / "test-depthwise-128-bias", DEVICE), DEVICE)
    for block in placed.problem.weights:
        start = placed.placement.weights[block.name]
        if len(block.rooms) > 1:
            assert start // bank == (start + block.columns - 1) // bank
