"""Benchmarks that judge by the vendor's files say so where these are not there, with the exit code of a wrong input."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["cycles", "placement", "simulator", "stock"])
def test_without_the_vendors_files_nothing_is_checked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, str(tmp_path)])
    assert import_module(f"bench.{name}").main() == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"{tmp_path}: there is no ") and "docs/CORPUS.md" in printed.err


def test_without_mlxtend_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mnist-chw-ai85.yaml").touch()
    monkeypatch.setattr(sys, "argv", ["stock", str(tmp_path)])
    stock = import_module("bench.stock")
    monkeypatch.setattr(stock, "find_spec", lambda name: None)
    assert stock.main() == 2
    assert "mlxtend" in capsys.readouterr().err
