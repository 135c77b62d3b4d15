"""The device is a parameter: only the command line asks for one, by the name that the user's files give."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.device import DEFAULT, device_file, device_names, load_device
from offramp.configs.errors import InputError
from offramp.devices import device_of_case, device_of_plan, device_of_spec
from offramp.planner.spec.reader import load_spec
from tests.helpers.specs import write_staged
from tests.test_imports import MODULES, room_of

LOADERS = {"load_device", "stated_device", "device_of_spec", "device_of_plan", "device_of_case"}
MAY_LOAD = {"commands", "front"}  # rooms; of the corpus' commands those functions that the command line calls
CORPUS = {"offramp.corpus.cases": {"_judged"}, "offramp.corpus.diff": {"run", "_compared"}}


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
    if room_of(module) not in MAY_LOAD and module != "offramp.devices":
        assert set(loads(module)) <= CORPUS.get(module, set()), "take `device: Device` as a parameter"


def test_the_walk_sees_what_it_looks_for() -> None:
    assert loads("offramp.commands.plan") == ["run"]
    assert {name for name in MODULES if loads(name)} >= {"offramp.corpus.diff", "offramp.documents", "offramp.devices"}


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
