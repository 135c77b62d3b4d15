"""`offramp diff`: registers against the vendor's, and what counts as explained."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.program import Key
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.diff import Comparison, compare
from offramp.corpus.explained import EXPLAINED_FILE, Programs, load_explanations
from offramp.corpus.registers import OUTSIDE, Image, our_image
from offramp.planner.allocation.place import Placed, place
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import Shape
from offramp.planner.placement.problem import BiasPlace
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
CASES = (
    "net-mnist",
    "net-mnist__no-mexpress",
    "net-mnist-extrasmall__powerdown",
    "net-cats-dogs",
    "syn-test-eltwiseadd-conv",
    "test-conv1d-3-bias",
    "test-conv1d-dilation11-pad0-96ch",
)


@pytest.fixture(scope="module")
def placed() -> Placed:
    """Two convolutions with biases in quadrants 0 and 1, in a place that leaves room to move everything."""
    first = make_layer(Shape(4, 6, 6), 20, processors=0xF, output_processors=0xFFFFF)
    second = make_layer(Shape(20, 6, 6), 5, processors=0xFFFFF, output_processors=0x1F)
    biased = (replace(first, bias=np.ones(20, np.int8)), replace(second, bias=np.ones(5, np.int8)))
    return place(whole("test", make_network(*biased)), DEVICE)


def change(image: Image, quadrant: int, layer: int, **fields: int) -> dict[Key, int]:
    """The image with fields of one register set; keyword `REGISTER_field` is too clumsy, so `register__field`."""
    changed = dict(image)
    for name, value in fields.items():
        register, part = name.split("__")
        key = Key(quadrant, layer, register)
        word = DEVICE.registers[register].decode(changed.get(key, 0)) | {part: value}
        changed[key] = DEVICE.registers[register].encode(word)
    return changed


def compared(placed: Placed, theirs: Mapping[Key, int], *arguments: str) -> Comparison:
    return compare(Programs(placed, our_image(placed), theirs, arguments))


def unexplained(comparison: Comparison) -> list[str]:
    return [difference.name for difference in comparison.unexplained]


def test_the_same_program_has_no_differences(placed: Placed) -> None:
    assert compared(placed, our_image(placed)) == Comparison()


def test_a_changed_field_is_reported_with_both_values(placed: Placed) -> None:
    result = compared(placed, change(our_image(placed), 1, 1, POST__shift=3))
    assert [str(one) for one in result.unexplained] == ["quadrant 1 layer 1: POST.shift is 0x0, the vendor's 0x3"]
    assert not result.explained


@pytest.mark.parametrize("register", [register.name for register in DEVICE.layer_registers()])
def test_no_field_of_a_layer_may_differ_alone_but_the_place_of_a_bias(placed: Placed, register: str) -> None:
    ours = our_image(placed)
    for part in DEVICE.registers[register].fields:
        name = f"{register}.{part.name}"
        value = part.decode(ours.get(Key(0, 0, register), 0)) ^ 1
        result = compared(placed, change(ours, 0, 0, **{f"{register}__{part.name}": value}))
        assert unexplained(result) == ([] if name == "POST.bias_start" else [name])


def test_bits_that_belong_to_no_field_are_reported(placed: Placed) -> None:
    ours = our_image(placed)
    key = Key(0, 0, "STRIDE")
    assert unexplained(compared(placed, dict(ours) | {key: ours[key] | 1 << 9})) == [f"STRIDE.{OUTSIDE}"]


def test_a_write_to_an_address_that_is_nothing_is_reported(placed: Placed) -> None:
    result = compared(placed, dict(our_image(placed)) | {Key(0, -1, "0x50100014"): 5})
    assert unexplained(result) == [f"0x50100014.{OUTSIDE}"]


def test_everything_placed_elsewhere_is_explained(placed: Placed) -> None:
    moved = replace(
        placed.placement,
        weights={name: start + 100 for name, start in placed.placement.weights.items()},
        biases={name: BiasPlace(1, 7 + 32 * i) for i, name in enumerate(placed.placement.biases)},
        data={name: word + (20 if name != "input" else 0) for name, word in placed.placement.data.items()},
    )
    result = compared(placed, our_image(replace(placed, placement=moved)))
    assert unexplained(result) == []
    assert {one.when for one in result.explained} == {
        "kernels_moved",
        "bias_moved",
        "only_bias_sources",
        "tensor_moved",
    }


def test_kernels_that_start_within_a_column_or_are_fewer_are_not_explained(placed: Placed) -> None:
    ours = our_image(placed)
    mcnt = DEVICE.registers["MCNT"].decode(ours[Key(0, 1, "MCNT")])
    fewer = change(ours, 0, 1, MCNT__last=mcnt["last"] - 8)
    assert unexplained(compared(placed, fewer)) == ["MCNT.last"]
    within = change(ours, 0, 1, MCNT__start=mcnt["start"] + 8, MCNT__last=mcnt["last"] + 8, ONED__start_byte=4)
    assert unexplained(compared(placed, within)) == ["MCNT.last", "MCNT.start", "ONED.start_byte"]


def test_a_bias_that_is_missing_or_lost_is_not_explained(placed: Placed) -> None:
    ours = our_image(placed)
    (name,) = (key for key in ours if key.layer == 0 and ours[key] and _enabled(ours[key], key.name))
    none = change(ours, name.quadrant, 0, POST__bias_enable=0, POST__bias_start=0)
    assert "POST.bias_enable" in unexplained(compared(placed, none))
    lost = change(none, 3, 0, POST__bias_enable=1)
    assert "POST.bias_enable" not in unexplained(compared(placed, lost))
    assert unexplained(compared(placed, change(ours, 0, 0, LCTRL0__sources=8))) == ["LCTRL0.sources"]


def _enabled(word: int, register: str) -> bool:
    return register == "POST" and DEVICE.registers["POST"].decode(word)["bias_enable"] == 1


def test_a_writer_that_moved_without_its_reader_is_not_explained(placed: Placed) -> None:
    moved = replace(placed.placement, data={name: word + 20 for name, word in placed.placement.data.items()})
    theirs = dict(our_image(replace(placed, placement=moved)))
    theirs = change(
        theirs, 0, 1, RPTR_BASE__word=DEVICE.registers["RPTR_BASE"].decode(theirs[Key(0, 1, "RPTR_BASE")])["word"] + 1
    )
    names = unexplained(compared(placed, theirs))
    assert names.count("WPTR_BASE.pointer") == 2  # layer 0 in both quadrants; the last layer's result has no reader
    assert names.count("RPTR_BASE.word") == 4  # the input must not move at all


def test_plain_loading_and_power_down_are_explained_by_the_arguments_only(placed: Placed) -> None:
    ours = our_image(placed)
    theirs = change(change(ours, 0, -1, CTRL__express=0), 0, -1, AON__mask_power_down=0b1100)
    assert unexplained(compared(placed, theirs)) == ["AON.mask_power_down", "CTRL.express"]
    assert unexplained(compared(placed, theirs, "--no-mexpress", "--powerdown")) == []
    used = change(theirs, 0, -1, AON__mask_power_down=0b0010)
    assert unexplained(compared(placed, used, "--no-mexpress", "--powerdown")) == ["AON.mask_power_down"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MCNT.last", "MCNT.end", "`MCNT.end` is no field of MAX78000"),
        ("when: bias_moved", "when: always", "unknown condition `always`; there are kernels_moved"),
        ("when: bias_moved", "where: bias_moved", "keys fields, where, reason; fields, when and reason are expected"),
        ("explained:", "list:", "keys list; a list `explained` is expected"),
    ],
)
def test_the_list_is_read_strictly(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(EXPLAINED_FILE.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=rf"^list.yaml:\d+: .*{message}"):
        load_explanations(DEVICE, path)


def test_corpus_cases_have_no_unexplained_difference(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *(str(corpus / "cases" / name) for name in CASES)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    equal, explained, wrong = (int(part.split()[0]) for part in last.split(", "))
    assert (equal + explained, wrong) == (len(CASES), 0)
    assert last.endswith("with unexplained differences")
    assert lines[0].startswith("MCNT.start, MCNT.last, ONED.start_byte: ")


def test_a_changed_vendor_program_is_found(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "case"
    shutil.copytree(corpus / "cases" / "net-mnist", case, copy_function=shutil.copyfile)
    case.chmod(0o755)
    with np.load(case / "program.npz") as arrays:
        program = {name: arrays[name].copy() for name in arrays.files}
    address = DEVICE.register_address("LCTRL0", 2, 3)
    program["configure_value"][program["configure_addr"] == address] ^= 1 << 9
    np.savez(case / "program.npz", **program)
    assert main(["diff", str(case)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "case: quadrant 2 layer 3: LCTRL0.relu is 0x1, the vendor's 0x0" in lines
    assert lines[-1] == "0 cases equal, 0 explained, 1 with unexplained differences"


def test_a_network_that_we_refuse_is_not_compared(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = tmp_path / "case"
    shutil.copytree(corpus / "cases" / "net-mnist", case, copy_function=shutil.copyfile)
    case.chmod(0o755)
    text = (case / "network.yaml").read_text()
    (case / "network.yaml").write_text(text.replace("layers:", "snoop: 1\nlayers:", 1))
    assert main(["diff", str(case)]) == 1
    out = capsys.readouterr().out
    assert "case: not compared: " in out
    assert out.splitlines()[-2:] == ["1 not compared", "0 cases equal, 0 explained, 0 with unexplained differences"]
