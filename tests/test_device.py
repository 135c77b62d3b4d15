"""The device is a parameter: only the command line asks for one, by the name that the user's files give."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from bench.mutation_networks import NETWORKS
from offramp.cli import main
from offramp.codegen.assemble import assemble
from offramp.codegen.render import render
from offramp.configs.device import DEFAULT, Device, device_file, device_names, load_device
from offramp.configs.errors import InputError
from offramp.corpus.cuts import judge_both_ways
from offramp.corpus.synth import forget_places
from offramp.host.files import write_tree
from offramp.pipeline.chains import TEST_DATA, data_set
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.devices import device_of_case, device_of_plan, device_of_spec
from offramp.pipeline.emulate import verify
from offramp.planner.ai8x.load import Options, read_network
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import whole
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import profile
from offramp.planner.rules.check import check_network
from offramp.planner.spec.reader import load_spec
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.memory import WeightMemory
from tests.helpers.devices import VARIANTS, changed
from tests.helpers.plans import plan_of
from tests.helpers.specs import write_staged
from tests.test_imports import MODULES, room_of

LOADERS = {"load_device", "stated_device", "device_of_spec", "device_of_plan", "device_of_case", "devices_of_specs"}
MAY_LOAD = {"commands", "front"}  # rooms
# Functions elsewhere that are given a path by the user, whose file says the device.
READERS = {
    "offramp.comparison.read": {"read_layout", "_build_layout", "_plan_layout", "_planned"},
    "offramp.corpus.cases": {"_judged"},
    "offramp.corpus.diff": {"run", "_compared"},
}
STRICTER = {"passes", "element-wise add"}  # networks that the accelerator runs and a rule refuses


def loads(module: str) -> list[str]:
    """Functions of a module that ask for a device by its name."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = []
    for top in tree.body:
        called = {node.func for node in ast.walk(top) if isinstance(node, ast.Call)}
        names = {f.id if isinstance(f, ast.Name) else f.attr for f in called if isinstance(f, ast.Name | ast.Attribute)}
        if names & LOADERS:
            found.append(getattr(top, "name", "at the top"))
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_the_command_line_loads_a_device(module: str) -> None:
    if room_of(module) not in MAY_LOAD and module != "offramp.pipeline.devices":
        assert set(loads(module)) <= READERS.get(module, set()), "take `device: Device` as a parameter"


def test_the_walk_sees_what_it_looks_for() -> None:
    assert loads("offramp.commands.plan") == ["run"]
    assert {name for name in MODULES if loads(name)} >= {
        "offramp.corpus.diff",
        "offramp.documents",
        "offramp.pipeline.devices",
    }


def test_devices_are_the_files_beside_the_loader() -> None:
    assert DEFAULT in device_names()
    for name in device_names():
        assert load_device(name).name == name and device_file(name).is_file()
    assert load_device(DEFAULT.lower()) is load_device()


def test_an_unknown_device_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError) as caught:
        load_device("MAX78999")
    assert str(caught.value) == f"there is no device `MAX78999`; there are: {', '.join(device_names())}"


def test_a_spec_names_its_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert device_of_spec(write_staged(tmp_path)) is load_device()
    path = write_staged(tmp_path, "device: MAX78000\n")
    assert device_of_spec(path) is load_device()
    assert main(["plan", str(path), "-o", str(tmp_path / "plan.json")]) == 0
    assert device_of_plan(tmp_path / "plan.json") is load_device()
    capsys.readouterr()
    path = write_staged(tmp_path, "device: MAX1\n")
    assert main(["plan", str(path)]) == 2
    line = path.read_text().splitlines().index("device: MAX1") + 1
    assert f"{path}:{line}: there is no device `MAX1`; there are: " in capsys.readouterr().err


def test_a_spec_is_read_for_the_device_that_it_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`device: MAX1`, but the spec is used for a MAX78000"):
        load_spec(write_staged(tmp_path, "device: MAX1\n"), load_device())


def test_a_plan_of_another_device_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.json"
    assert main(["plan", str(write_staged(tmp_path)), "-o", str(path)]) == 0
    path.write_text(path.read_text().replace('"MAX78000"', '"MAX1"'))
    assert main(["cost", str(path)]) == 2
    assert "plan.json: there is no device `MAX1`" in capsys.readouterr().err


def test_commands_that_read_a_network_take_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    network = next(tmp_path.glob("m*.yaml"))
    for command in ("check", "cost"):
        assert main([command, str(network), "--device", "max1"]) == 2
        assert "there is no device `max1`" in capsys.readouterr().err
    assert main(["cost", str(spec), "--device", "MAX78000"]) == 2
    assert "a spec says `device`" in capsys.readouterr().err


def test_a_case_names_its_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = tmp_path / "meta.json"
    (tmp_path / "program.npz").write_bytes(b"")
    meta.write_text(json.dumps({}))
    assert device_of_case(tmp_path) is load_device()
    with pytest.raises(InputError, match="there is no device `MAX1`"):
        device_of_case(tmp_path, "MAX1")
    meta.write_text(json.dumps({"device": "MAX1"}))
    with pytest.raises(InputError, match="is a case of a MAX1, not of a MAX78000"):
        device_of_case(tmp_path, "max78000")
    for command in ("replay", "synth", "diff"):
        assert main([command, str(tmp_path)]) == 1
        assert "there is no device `MAX1`" in capsys.readouterr().out


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - STRICTER))
def test_networks_run_on_devices_with_other_numbers(name: str, variant: str) -> None:
    """Planned, lowered and simulated from the file's numbers alone: the answers are those of the integer reference."""
    device = changed(VARIANTS[variant])
    network = complete(forget_places(NETWORKS[name]()), device, no_columns_occupied(device))
    assert check_network(network, device) == ()
    shape = network.input_shape
    x = np.random.default_rng(7).integers(-128, 128, (shape.channels, shape.rows, shape.cols)).astype(np.int8)
    expected = run_network(network, x[None])[network.layers[-1].index][0].astype(np.int32)
    placed = place(whole("network", network), device)
    assert judge_both_ways(placed, [x], [expected], np.random.default_rng(0)) == ()


def test_firmware_runs_on_a_device_with_other_addresses(tmp_path: Path) -> None:
    """From a spec to answers of the compiled program on the virtual board, whose memory map is the file's too."""
    made = plan_of(write_staged(tmp_path), changed(VARIANTS["longer"]))
    write_tree(tmp_path / "firmware", render(assemble(made.lowered, "moved"), made.device))
    compiled = compile_firmware(tmp_path / "firmware", tmp_path / "firmware.elf", "auto")
    x = data_set(made.plan.spec, made.chain, TEST_DATA).x[:20]
    found = verify(compiled.elf, x, made.plan.placed, profile(made.chain, x), lambda count: None)
    assert (found.verified.answers, found.mismatches) == (len(x), ())


def test_each_processor_has_its_own_columns() -> None:
    device = changed(VARIANTS["longer"])
    assert [device.columns(one) for one in (0, 1, 16, 63)] == [1280, 1024, 1280, 1024]
    assert (device.common_columns(0x10001), device.common_columns(3), device.common_columns(0)) == (1280, 1024, 1280)
    for processor, columns in ((16, 1280), (17, 1024)):
        weights = WeightMemory(device)
        weights.set_start(processor, columns * device.express_stride | 1)
        with pytest.raises(AcceleratorError, match=f"the last one is {columns - 1}"):
            weights.append(processor, np.zeros(9, np.uint32))


def test_write_pointers_count_by_their_own_stride() -> None:
    device = changed(VARIANTS["longer"])
    assert device.pointer(3, 5) == 3 << 15 | 5
    assert device.split_pointer(3 << 15 | 5) == (3, 5)
    with pytest.raises(InputError, match="`pointer_stride` is 4096; at least the words of an instance"):
        changed({"memories.data.pointer_stride": 4096})


def test_a_feature_takes_a_refusal_away(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(
        "arch: x\ndataset: MNIST\nlayers:\n  - {op: conv2d, processors: 1, calcx4: true, snoop_sequence: 0}\n"
    )

    def complaints(device: Device) -> str:
        return " ".join(str(one) for one in read_network(path, parse_shapes("4x1x3x3"), None, Options(), device)[1])

    assert "`calcx4: True`" in complaints(load_device()) and "`snoop_sequence: 0`" in complaints(load_device())
    found = complaints(changed({"features": ["calcx4"]}))
    assert "calcx4" not in found and "`snoop_sequence: 0`" in found
    with pytest.raises(InputError, match="a list of some of "):
        changed({"features": ["magic"]})
