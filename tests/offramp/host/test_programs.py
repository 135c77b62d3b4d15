"""Compilers, and what calls itself one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.errors import InputError
from offramp.host.programs import run_program
from offramp.pipeline import compile as compile_module
from offramp.pipeline.compile import find_compiler
from tests.helpers.specs import FRONT, write_spec

NAME = "arm-none-eabi-gcc"


def program(folder: Path, text: str) -> Path:
    path = folder / NAME
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(path: Path, seconds: float = 10) -> str:
    return run_program([str(path)], path.parent, "stdout", seconds, os.environ).text


def refused(path: Path, seconds: float = 10) -> str:
    with pytest.raises(InputError) as caught:
        run(path, seconds)
    return str(caught.value)


def test_what_a_program_prints(tmp_path: Path) -> None:
    assert run(program(tmp_path, "#!/bin/sh\necho text; echo other >&2; cat; printf '\\377'")) == "text\n\ufffd"


def test_what_is_no_program(tmp_path: Path) -> None:
    assert "cannot be run: Exec format error" in refused(program(tmp_path, "\x00\x01 not a program"))
    assert "cannot be run: No such file" in refused(tmp_path / "gone")


def test_programs_that_do_not_end_as_they_should(tmp_path: Path) -> None:
    """Their children do not stay either."""
    marker = tmp_path / "child"
    path = program(tmp_path, f"#!/bin/sh\n(while :; do date > {marker}; sleep 0.1; done) & sleep 100")
    assert "has not ended after 0.5 s" in refused(path, 0.5)
    marker.unlink()
    time.sleep(0.4)
    assert not marker.exists()
    assert "prints more than 1,048,576 bytes" in refused(program(tmp_path, "#!/bin/sh\nyes"))
    assert "was killed by signal 9" in refused(program(tmp_path, "#!/bin/sh\nkill -9 $$"))
    assert "has not ended" in refused(program(tmp_path, "#!/bin/sh\nexec >&-; sleep 100"), 0.5)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("echo '<html>'", "prints '<html>'; its version is expected. Is it a compiler?"),
        ("exit 0", "prints nothing; its version is expected"),
        ("echo 12.2.1; exit 3", "its version is expected"),
        ("head -c 100000 /dev/urandom", "its version is expected"),
    ],
)
def test_what_is_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str) -> None:
    program(tmp_path, f"#!/bin/sh\n{text}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InputError) as caught:
        find_compiler(NAME)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        ("exit 0", 2, f"{NAME} ({{path}}) has compiled nothing"),
        ("echo no such header >&2; exit 1", 1, f"{NAME} refuses the firmware"),
        ("echo cc1: No space left on device >&2; exit 1", 2, "No space left on device"),
        ('for a; do o=$a; done; echo junk > "$o"', 2, f"what {NAME} ({{path}}) compiles is no program"),
        ("touch $TMPDIR/left; sleep 100", 2, "has not ended after 1 s"),
    ],
)
def test_builds_with_it_leave_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    code: int,
    complaint: str,
) -> None:
    path = program(tmp_path, f'#!/bin/sh\n[ "$1" = -dumpfullversion ] && echo 12.2.1 && exit\n{text}')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(compile_module, "COMPILE_SECONDS", 1)
    spec = write_spec(tmp_path, FRONT)
    before = sorted(tmp_path.rglob("*"))
    assert main(["build", str(spec), "-o", str(tmp_path / "a" / "out"), "--compiler", NAME]) == code
    assert complaint.format(path=path) in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("unicorn", ["build", "{spec}", "-o", "{out}"]),
        ("elftools", ["build", "{spec}", "-o", "{out}", "--images", "0"]),
        ("capstone", ["build", "{spec}", "-o", "{out}", "--images", "0"]),
    ],
)
def test_a_missing_library_is_found_before_the_planning(tmp_path: Path, module: str, words: list[str]) -> None:
    spec, out = write_spec(tmp_path, FRONT), tmp_path / "out"
    arguments = [word.format(spec=spec, out=out) for word in words]
    script = f"import sys; sys.modules['{module}'] = None; from offramp.cli import main; sys.exit(main({arguments}))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "pip install" in ended.stderr and "reading" not in ended.stdout
    assert len(ended.stderr.splitlines()) == 1 and not out.exists()
