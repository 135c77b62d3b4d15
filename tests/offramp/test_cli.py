"""The command line's front: help, exit codes, and no traceback for what a user can do wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from offramp import cli
from offramp.cli import COMMANDS, main
from offramp.commands import plan
from tests.helpers.specs import FRONT, TINY, write_network, write_spec


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(command.name in shown and command.summary.split()[0] in shown for command in COMMANDS)
    assert "exit codes: 0 done, 1 a check failed, 2 the input is wrong, 3 proved infeasible" in shown


@pytest.mark.parametrize("words", [["bild"], ["--verbose", "build"]])
def test_unknown_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: offramp" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"offramp {version('offramp')}\n"


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With an example that one can copy."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: offramp {command}" in shown
    assert "example" in shown
    assert f"offramp {command} " in shown.partition("example")[2]


@pytest.mark.parametrize(
    "words",
    [["plan"], ["build", "spec.yaml"], ["run"], ["plan", "a", "b"], ["build", "a", "-o", "b", "--compiler", "tcc"]],
)
def test_wrong_arguments(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert f"usage: offramp {words[0]}" in capsys.readouterr().err


def test_a_plan_is_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path)
    kept = tmp_path / "made" / "plan.json"
    assert main(["plan", str(path), "-o", str(kept)]) == 0
    shown = capsys.readouterr().out
    assert "front -> main" in shown
    assert "40 test images" in shown
    first = kept.read_bytes()
    assert main(["plan", str(path), "-o", str(kept)]) == 0
    assert kept.read_bytes() == first


def test_what_does_not_fit_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two networks that fit alone: 512 kernels each on the processors of the input, of 768 columns."""
    path = write_spec(tmp_path)
    layers = (
        "  - {op: conv2d, processors: 0xf, pad: 1, max_pool: 2, pool_stride: 2, data_format: HWC}\n"
        "  - {op: mlp, processors: 0xffffffffffffffff, flatten: true, output_width: 32}\n"
    )
    for seed, name in enumerate(("front", "main")):
        write_network(tmp_path, name, layers, [(512, 4, 3, 3), (TINY.classes, 512 * 9)], seed)
    assert main(["plan", str(path), "-o", str(tmp_path / "plan.json")]) == 3
    errors = capsys.readouterr().err
    assert "the weights do not fit" in errors
    for name in ("front", "main"):
        assert f"{tmp_path / name}.yaml:4): 512 columns" in errors
    assert not (tmp_path / "plan.json").exists()


def test_a_network_that_the_device_cannot_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that is wrong with all of its layers, not only the first."""
    path = write_spec(tmp_path)
    front = tmp_path / "front.yaml"
    front.write_text(
        front.read_text().replace("pad: 1, max_pool: 2", "pad: 1, max_pool: 17").replace("activate: ReLU", "groups: 4")
    )
    assert main(["plan", str(path)]) == 2
    errors = capsys.readouterr().err
    assert "front.yaml:4: " in errors
    assert len(errors.splitlines()) >= 2


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "run", interrupted)
    assert main(["plan", "spec.yaml"]) == 130
    assert capsys.readouterr().err == "offramp plan: interrupted\n"


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """`offramp plan ... | head -1` ends without a traceback."""
    path = write_spec(tmp_path, FRONT)
    command = f"{sys.executable} -m offramp.cli plan {path} | head -c 1"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in run.stderr
    assert "Exception" not in run.stderr


def test_the_program_exits_with_its_code(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, cli.__file__, "plan", str(tmp_path / "gone.yaml")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "gone.yaml: cannot be read" in run.stderr
