"""Outputs appear whole or not at all, and never in the place of an input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from offramp.configs.errors import InputError
from offramp.configs.files import read_bytes, recorded_reads
from offramp.host.files import write_text


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "plan.json"
    write_text(path, "one")
    assert path.read_text() == "one"
    assert path.stat().st_mode & 0o777 == 0o644
    write_text(path, "two")
    assert path.read_text() == "two"
    assert names(path.parent) == ["plan.json"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"plan\.json: cannot be written: (Not a directory|File exists)"):
        write_text(tmp_path / "file" / "plan.json", "text")


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(InputError, match=r"plan\.json: cannot be written: Is a directory"):
        write_text(tmp_path / "plan.json", "text")
    assert names(tmp_path) == ["plan.json"]


def test_what_is_neither_file_nor_folder_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: cannot be written: exists and is not a file"):
        write_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_an_input_is_not_written_over(tmp_path: Path) -> None:
    """Under whatever name."""
    path, link = tmp_path / "spec.yaml", tmp_path / "link"
    path.write_text("mine")
    link.symlink_to(path)
    os.link(path, tmp_path / "hard")
    with recorded_reads():
        read_bytes(path, 10)
        for name in ("spec.yaml", "link", "hard", "../" + tmp_path.name + "/spec.yaml"):
            with pytest.raises(InputError, match="cannot be written: it was read, and is not written over"):
                write_text(tmp_path / name, "text")
    assert path.read_text() == "mine"


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "text"


def test_folders_that_were_made_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match=r"plan.json: cannot be written: No space left on device"):
        write_text(tmp_path / "a" / "b" / "plan.json", "text")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot be written: (File name too long|embedded null byte)"):
        write_text(tmp_path / name, "text")
    assert names(tmp_path) == []
