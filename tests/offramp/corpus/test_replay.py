"""`offramp replay`: vendor programs on the accelerator model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.codegen.load_images import tensor_layout
from offramp.configs.errors import InputError
from offramp.corpus import replay
from offramp.corpus.cases import find_cases
from offramp.corpus.direct import ModelRunner
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import Shape
from offramp.planner.reference.layers import run_network
from tests.helpers.accelerator_programs import (
    DEVICE,
    random_bytes,
)
from tests.helpers.cases import Recorder, write_case
from tests.helpers.networks import make_layer, make_network

# Layer 1 adds words 2x and 2x+1 of an image of 8 channels, 20 x 20. The known answer, made without --legacy-test,
# folds the image into 16 channels of 20 x 10 and adds the first 8 to the last 8, which no program can do.
NOT_WHAT_THE_PROGRAM_SAYS = ["test-multilayer-eltwise", "test-multilayer-eltwise__write-zero-registers"]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "copy")


def edit(path: Path, **changes: NDArray[np.generic]) -> None:
    with np.load(path) as arrays:
        values = dict(arrays) | changes
    np.savez(path, allow_pickle=False, **values)


def arguments(*cases: Path, workers: int | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    replay.add_arguments(parser)
    return parser.parse_args([*map(str, cases), *([] if workers is None else ["--workers", str(workers)])])


def test_a_right_case_passes(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.run(arguments(case)) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


def bare(case: Path, *phases: str) -> None:
    """Nothing but a program, without some of its phases, and what it leaves in memory."""
    (case / "meta.json").unlink()
    (case / "outputs.npz").unlink()
    with np.load(case / "program.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files if name.split("_")[0] not in phases}
    np.savez(case / "program.npz", allow_pickle=False, **kept)


@pytest.mark.parametrize("phases", [(), ("isr",)])
def test_a_bare_program_is_compared_with_what_it_leaves(
    case: Path, phases: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    bare(case, *phases)
    assert replay.run(arguments(case)) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"
    edit(case / "expected.npz", value=np.full(16, 7, np.uint32))
    assert replay.run(arguments(case.parent)) == 1
    assert "expected.npz: 16 of 16 words differ" in capsys.readouterr().out


def test_a_bare_program_may_lack_its_start_only_if_it_runs_otherwise(case: Path) -> None:
    bare(case, "start")
    assert replay.replay_case(case, DEVICE) == ("the program never runs the accelerator",)


def test_a_case_without_a_list_of_layers_is_a_bare_program(case: Path) -> None:
    (case / "meta.json").write_text('{"phase_order": ["configure", "input", "start"]}')
    assert replay.replay_case(case, DEVICE) == ()


def test_a_bare_program_that_feeds_a_fifo_starts_first(tmp_path: Path) -> None:
    network = make_network(make_layer(Shape(3, 4, 5), 4), fifo=True)
    network = complete(network, DEVICE, no_columns_occupied(DEVICE))
    x = random_bytes(3, 3, 4, 5)
    recorder = Recorder()
    machine = ModelRunner(place(whole("net", network), DEVICE), recorder)
    machine.load()
    machine.write_input(x)
    program = recorder.take("init")
    machine.run_stage(0)
    taken = recorder.take("all")
    fed = taken["all_addr"] == DEVICE.register_address("FIFO_DATA0")
    first, end = np.flatnonzero(fed)[[0, -1]]
    for phase, span in (("start", slice(0, first)), ("input", slice(first, end + 1))):
        program |= {f"{phase}_{part}": taken[f"all_{part}"][span] for part in ("addr", "value", "kind")}
    np.savez(tmp_path / "program.npz", allow_pickle=False, **program)
    answer = run_network(network, x[None])[0][0]
    places = tensor_layout(machine.placed, "net/0").addresses().astype(np.uint32)
    lanes = 8 * (places & 3)
    values = answer.reshape(-1).view(np.uint8).astype(np.uint32) << lanes
    addresses, masks = places & ~np.uint32(3), np.uint32(0xFF) << lanes
    np.savez(tmp_path / "expected.npz", addr=addresses, mask=masks, value=values.astype(np.uint32))
    assert replay.replay_case(tmp_path, DEVICE) == ()


def test_a_folder_of_cases_and_a_failing_one(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = case.with_name("wrong")
    wrong.mkdir()
    for file in case.iterdir():
        (wrong / file.name).write_bytes(file.read_bytes())
    edit(wrong / "outputs.npz", final=np.zeros((4, 4, 4), np.int8))
    (case.parent / "notes").mkdir()
    assert replay.run(arguments(case.parent, workers=2)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("wrong: final: ")
    assert lines[1] == "1 passed, 1 failed"


def test_what_is_no_case_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no case; a folder with program.npz"):
        find_cases([tmp_path])
    with pytest.raises(InputError, match="is no folder"):
        find_cases([tmp_path / "absent"])


def test_there_is_at_least_one_worker(case: Path) -> None:
    with pytest.raises(InputError, match="--workers 0: at least 1"):
        replay.run(arguments(case, workers=0))


def break_expected(case: Path) -> str:
    with np.load(case / "expected.npz") as arrays:
        value = arrays["value"].copy()
    value[3] ^= 1
    edit(case / "expected.npz", value=value)
    return "expected.npz: 1 of 16 words differ, first 0x5040400c & 0x00ffffff is"


def break_intermediate(case: Path) -> str:
    edit(case / "outputs.npz", out0=np.zeros((4, 4, 4), np.int8))
    return "out0: "


def one_entry(case: Path, address: NDArray[np.uint32], kind: int, expect: int) -> None:
    """Replace the last phase by a poll or check of bit 0."""
    one, value = np.array([1], np.uint32), np.array([expect], np.uint32)
    edit(
        case / "program.npz",
        isr_addr=address,
        isr_value=one,
        isr_kind=np.array([kind], np.uint8),
        isr_expect=value,
    )


def never_ending_poll(case: Path) -> str:
    status = np.array([DEVICE.register_address("FIFO_STAT")], dtype=np.uint32)
    one_entry(case, status, kind=4, expect=1)
    return "poll never ends: 0x50000004 & 0x1 is 0x0, expected 0x1"


def failing_check(case: Path) -> str:
    control = np.array([DEVICE.register_address("CTRL")], dtype=np.uint32)
    one_entry(case, control, kind=5, expect=0)
    return "check fails: 0x50100000 & 0x1 is 0x1, expected 0x0"


def unknown_entry(case: Path) -> str:
    one_entry(case, np.array([0], np.uint32), kind=9, expect=0)
    return "program.npz: is damaged: `isr_kind` holds 9; 0..5 are kinds of entries"


def no_start(case: Path) -> str:
    none = np.zeros(0, np.uint32)
    edit(case / "program.npz", start_kind=none.astype(np.uint8), start_addr=none, start_value=none)
    return "the program never runs the accelerator"


def no_answers(case: Path) -> str:
    (case / "expected.npz").unlink()
    (case / "outputs.npz").unlink()
    return "neither expected.npz nor outputs.npz"


def truncated(case: Path) -> str:
    data = (case / "program.npz").read_bytes()
    (case / "program.npz").write_bytes(data[: len(data) // 2])
    return "program.npz: is not an .npz file with plain arrays, or damaged: "


def emptied(case: Path) -> str:
    (case / "program.npz").write_bytes(b"")
    return "program.npz: is not an .npz file with plain arrays, or damaged: "


def no_phase(case: Path) -> str:
    with np.load(case / "program.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "start_addr"}
    np.savez(case / "program.npz", allow_pickle=False, **kept)
    return "program.npz has no `start_addr`"


def no_final_layer(case: Path) -> str:
    meta = json.loads((case / "meta.json").read_text())
    del meta["final_layer"]
    (case / "meta.json").write_text(json.dumps(meta))
    return "cannot be read: meta.json has no `final_layer`"


def only_outputs(case: Path) -> str:
    (case / "meta.json").write_text('{"phase_order": ["configure", "input", "start"], "final_layer": 0}')
    (case / "expected.npz").unlink()
    return "meta.json has no list of `layers`, which outputs.npz is compared by, and there is no expected.npz"


def missing_input(case: Path) -> str:
    with np.load(case / "program.npz") as arrays:
        first = {name: arrays[name][:1] for name in arrays.files if name.startswith("input_")}
    edit(case / "program.npz", **first)
    return "depends on what processor 0 reads byte 0 of data word 1 of instance 0"


def unequal_lists(case: Path) -> str:
    edit(case / "program.npz", input_kind=np.zeros(1, np.uint8))
    return "program.npz: is damaged: input: lists of 16, 16, 1 entries"


def a_layer_without_keys(case: Path) -> str:
    (case / "meta.json").write_text('{"phase_order": [], "layers": [{}]}')
    return "meta.json: is damaged: `layers[0].index`"


def another_type(case: Path) -> str:
    meta = json.loads((case / "meta.json").read_text())
    meta["layers"][0]["write_gap"] = 10**30
    (case / "meta.json").write_text(json.dumps(meta))
    return "meta.json: is damaged: `layers[0].write_gap`: a number >= 0 is expected"


def signed_answers(case: Path) -> str:
    edit(case / "expected.npz", value=np.full(16, -1, np.int64))
    return "expected.npz: is damaged: addr, mask and value: lists of numbers from 0 to 0xffffffff"


def outputs_that_are_none(case: Path) -> str:
    edit(case / "outputs.npz", out0=np.zeros((), np.int8))
    return "outputs.npz: is damaged: `out0` is int8 ()"


FAILURES = [break_expected, break_intermediate, never_ending_poll, failing_check, no_start, no_answers]
FAILURES += [no_phase, no_final_layer, only_outputs, missing_input]
DAMAGES = [unknown_entry, truncated, emptied, unequal_lists, a_layer_without_keys, another_type, signed_answers]
DAMAGES += [outputs_that_are_none]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.__name__)
def test_a_case_fails_with_its_reason(case: Path, failure: object) -> None:
    assert callable(failure)
    reason = failure(case)
    reasons = replay.replay_case(case, DEVICE)
    assert any(reason in found for found in reasons), reasons


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_case_is_another_exit_code(case: Path, damage: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(damage)
    reason = damage(case)
    assert replay.run(arguments(case)) == 2
    printed = capsys.readouterr().out
    assert f"{case}/{reason}" in printed and "0 passed, 1 failed" in printed


@pytest.mark.slow
def test_all_vendor_programs_give_the_vendors_answers(corpus: Path) -> None:
    cases = find_cases([corpus / "cases"])
    assert len(cases) == 285
    failed = [case.name for case in cases if replay.replay_case(case, DEVICE)]
    assert failed == NOT_WHAT_THE_PROGRAM_SAYS
