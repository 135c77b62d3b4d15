"""Outputs appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from offramp.configs.errors import InputError
from offramp.files import MARK, whole_folder, write_text, write_tree


def build(target: Path, text: str) -> None:
    with whole_folder(target) as folder:
        write_tree(folder, {"deep/file.txt": text, MARK: "{}"})
        assert folder.parent == target.parent  # a rename is enough to put it in its place
        assert not (target / "deep" / "file.txt").exists() or (target / "deep" / "file.txt").read_text() != text


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


def test_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "build" / "name"
    build(target, "one")
    assert (target / "deep" / "file.txt").read_text() == "one"
    assert target.stat().st_mode & 0o777 == 0o755
    assert names(target.parent) == ["name"]


def test_an_earlier_build_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "name"
    build(target, "one")
    (target / "stale.txt").write_text("from before")
    build(target, "two")
    assert names(target) == sorted(["deep", MARK])
    assert (target / "deep" / "file.txt").read_text() == "two"
    assert names(tmp_path) == ["name"]


@pytest.mark.parametrize("before", [False, True])
def test_what_fails_leaves_nothing_behind(tmp_path: Path, before: bool) -> None:
    target = tmp_path / "name"
    if before:
        build(target, "one")
    with pytest.raises(KeyboardInterrupt), whole_folder(target) as folder:
        write_tree(folder, {"deep/file.txt": "two"})
        raise KeyboardInterrupt
    assert names(tmp_path) == (["name"] if before else [])
    if before:
        assert (target / "deep" / "file.txt").read_text() == "one"


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "name"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="name: exists and is not the folder of an earlier build; choose another"):
        build(target, "one")
    assert names(target) == ["thesis.txt"]


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("x")
    with pytest.raises(InputError, match="exists and is not the folder of an earlier build"):
        build(tmp_path / "name", "one")
    assert (tmp_path / "name").read_text() == "x"


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    build(tmp_path / "name", "one")
    assert (tmp_path / "name" / "deep" / "file.txt").read_text() == "one"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        build(tmp_path / "name", "one")


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        build(tmp_path / "file" / "name", "one")
