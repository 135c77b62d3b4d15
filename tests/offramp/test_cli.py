"""The command line's front: help, exit codes, and no traceback for what a user can do wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from offramp import cli
from offramp.cli import main
from offramp.command_line import COMMANDS
from offramp.commands import plan
from tests.helpers.specs import FRONT, TINY, write_network, write_spec


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(command.name in shown and command.summary.split()[0] in shown for command in COMMANDS)
    assert (
        "exit codes: 0 done, 1 a check failed, 2 the input is wrong or an output cannot be written, 3 proved" in shown
    )


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
    [["plan"], ["build", "spec.yaml"], ["run"], ["check", "a", "b"], ["build", "a", "-o", "b", "--compiler", "tcc"]],
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


def test_signals_end_a_command_in_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def waiting(number: int) -> Callable[[object], int]:
        def run(_: object) -> int:
            signal.raise_signal(number)
            raise AssertionError

        return run

    # A shell's background jobs ignore interrupts, and this may be one.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, code, word in ((signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")):
        before = signal.getsignal(number)
        monkeypatch.setattr(plan, "run", waiting(number))
        assert main(["plan", "spec.yaml"]) == code
        assert capsys.readouterr().err == f"offramp plan: {word}\n"
        assert signal.getsignal(number) is before
    signal.signal(signal.SIGINT, ignored)


def test_an_error_of_ours_is_no_failed_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One line, and a file with the traceback; not even that where no file can be written."""

    def broken(_: object) -> int:
        return [1, 2][int("2")]

    monkeypatch.setattr(plan, "run", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["plan", "spec.yaml"]) == 70
    (file,) = tmp_path.iterdir()
    said = "offramp plan: internal error: IndexError: list index out of range"
    assert capsys.readouterr().err == f"{said}; please report it with {file}\n"
    assert "in broken" in file.read_text()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert main(["plan", "spec.yaml"]) == 70
    assert capsys.readouterr().err == f"{said}; no traceback could be kept: No such file or directory\n"


def program(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line of the shell, in which `offramp` is this program."""
    text = command.replace("offramp", f"{sys.executable} -m offramp.cli")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", text], env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_output_that_cannot_be_printed(tmp_path: Path) -> None:
    """A reader that goes away, a full disk, a closed output: never a traceback, never the code of a failed check."""
    path = write_spec(tmp_path, FRONT)
    for where, complaint in (
        ("| head -c 1", ""),
        ("> /dev/full", "offramp plan: standard output: cannot be written: No space left on device\n"),
        (">&-", "offramp plan: standard output: is closed\n"),
    ):
        run = program(f"offramp plan {path} -o {tmp_path}/plan.json {where}")
        assert (run.returncode, run.stderr) == (2, complaint)
        assert not (tmp_path / "plan.json").exists()


def test_terminals_that_know_little(tmp_path: Path) -> None:
    """Characters that they lack, in names and in messages."""
    path = write_spec(tmp_path, FRONT.replace("stages:", 'labels: ["é", "ü", "漢"]\nstages:'))
    folder = tmp_path / "ordner-ä"
    folder.mkdir()
    for one in (dict(LC_ALL="C", PYTHONIOENCODING="ascii"), dict(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")):
        assert program(f"offramp plan {path}", **one).returncode == 0
        run = program(f"offramp plan {folder}/gone.yaml", **one)
        assert run.returncode == 2 and "gone.yaml: cannot be read: No such file" in run.stderr


def test_text_commands_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of layers, labels and files are text: no markup, no colours, no way to move the cursor."""
    path = write_spec(tmp_path, FRONT.replace("stages:", 'labels: ["[bold]x", "[/]", ":smile:"]\nstages:'))
    main_yaml = tmp_path / "main.yaml"
    main_yaml.write_text(main_yaml.read_text().replace("name: third", 'name: "[/]\\x1b[31mred\\u202e"'))
    assert main(["plan", str(path)]) == 0
    assert main(["cost", str(path)]) == 0
    assert main(["check", str(main_yaml), "--input", TINY.input, "--classes", "3"]) == 0
    shown = capsys.readouterr().out
    assert "[/]\\x1b[31mred\\u202e" in shown and "\x1b" not in shown and "\u202e" not in shown
    assert main(["plan", f"{path}\x1b[31m"]) == 2
    with pytest.raises(SystemExit):
        main(["plan", str(path), "-\x1b[31m"])
    assert "\x1b" not in capsys.readouterr().err


def test_a_line_of_a_message_has_an_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("offramp: 1\n? " + "a" * 100_000 + "\n: 1\n")
    assert main(["plan", str(path)]) == 2
    found = capsys.readouterr().err
    assert "unknown key `aaa" in found and "networks" in found and len(max(found.split("\n"), key=len)) < 2100


def test_the_program_exits_with_its_code(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, cli.__file__, "plan", str(tmp_path / "gone.yaml")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "gone.yaml: cannot be read" in run.stderr


COMPLETE = """\
{script}
COMP_WORDS=(offramp {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); cd {folder}
$(complete -p offramp | sed 's/.*-F \\([^ ]*\\).*/\\1/') offramp "${{COMP_WORDS[-1]}}"
echo "${{COMPREPLY[*]}}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    "words, found",
    [
        ("pl", "plan"),
        ("--ver", "--version"),
        ("build --comp", "--compiler"),
        ("build --compiler zi", "zig"),
        ("build sp", "spec.yaml"),
        ("build spec.yaml -o bui", "build"),
        ("check main.yaml --checkpoint mai", "main.pth.tar main.yaml"),
    ],
)
def test_a_shell_completes(words: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_spec(tmp_path)
    (tmp_path / "build").mkdir()
    with pytest.raises(SystemExit):
        main(["--completion", "bash"])
    text = COMPLETE.format(script=capsys.readouterr().out, words=words, folder=tmp_path)
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
    assert done.stdout.split() == found.split(), done.stderr
