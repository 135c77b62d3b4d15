"""`offramp registers`: files for debuggers and compilers."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.cli import main
from offramp.codegen.register_header import register_header
from offramp.codegen.svd import svd_text
from offramp.configs.device import load_device


def test_both_files_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    svd, header = tmp_path / "new" / "cnn.svd", tmp_path / "cnn_regs.h"
    assert main(["registers", "--svd", str(svd), "--header", str(header)]) == 0
    assert svd.read_text() == svd_text(load_device())
    assert header.read_text() == register_header(load_device())
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"{path}: 37 registers, 145 fields of the MAX78000" for path in (svd, header)]


def test_nothing_to_write_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registers"]) == 2
    assert "give --svd FILE or --header FILE" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    assert main(["registers", "--svd", str(tmp_path / "folder")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_another_device_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registers", "--svd", "x.svd", "--device", "MAX1"]) == 2
    assert "there is no device `MAX1`" in capsys.readouterr().err
