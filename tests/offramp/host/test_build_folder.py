"""A build takes its place at once, and only an untouched build of ours gives way."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from offramp.configs.errors import Damaged, InputError
from offramp.configs.files import read_bytes, recorded_reads
from offramp.host import build_folder
from offramp.host.build_folder import MANIFEST, check_free, check_unchanged, whole_folder
from offramp.host.files import write_tree


def build(target: Path, text: str) -> None:
    with whole_folder(target) as folder:
        write_tree(folder, {"deep/file.txt": text, "report.json": "{}"})
        assert folder.parent == target.parent  # a rename is enough to put it in its place
        assert not (target / "deep" / "file.txt").exists() or (target / "deep" / "file.txt").read_text() != text


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())


def test_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "build" / "name"
    build(target, "one")
    assert (target / "deep" / "file.txt").read_text() == "one"
    assert target.stat().st_mode & 0o777 == 0o755
    assert names(target.parent) == ["name"]


def test_an_earlier_build_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "name"
    build(target, "one")
    build(target, "two")
    assert names(target) == sorted(["deep", "report.json", MANIFEST])
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


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("notes.txt", "`notes.txt`, which no build wrote"),
        ("deep/notes.txt", "`deep/notes.txt`, which no build wrote"),
        ("mine/", "`mine/`, which no build wrote"),
        ("deep/file.txt", "`deep/file.txt`, which has changed since the build"),
        ("report.json", "`report.json`, which has changed since the build"),
    ],
)
def test_what_somebody_has_added_or_changed_stays(tmp_path: Path, name: str, complaint: str) -> None:
    target = tmp_path / "name"
    build(target, "one")
    if name.endswith("/"):
        (target / name).mkdir()
    else:
        (target / name).write_text("mine")
    with pytest.raises(
        InputError, match=f"name: is not replaced: it holds {complaint}. Move it, or choose another folder"
    ):
        check_free(target)
    with pytest.raises(InputError, match=complaint):
        build(target, "two")
    assert name.endswith("/") or (target / name).read_text() == "mine"
    assert names(tmp_path) == ["name"]


def test_a_report_alone_makes_no_build(tmp_path: Path) -> None:
    """Such a folder was replaced, with the spec and the networks in it."""
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "spec.yaml").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not the folder of an earlier build"):
        build(tmp_path, "one")
    (tmp_path / MANIFEST).write_text('{"format": 1, "files": {"report.json": ""}}')
    with pytest.raises(
        InputError,
        match=r"holds `report.json`, which has changed since the build, `spec.yaml`, which no build wrote. Move them,",
    ):
        build(tmp_path, "one")
    assert (tmp_path / "spec.yaml").read_text() == "years of work"


def test_an_input_is_not_replaced(tmp_path: Path) -> None:
    build(tmp_path / "name", "one")
    (tmp_path / "link").symlink_to(tmp_path / "name")
    with recorded_reads():
        read_bytes(tmp_path / "link" / "deep" / "file.txt", 10)
        with pytest.raises(InputError, match=r"it holds `.*deep/file.txt`, which is an input"):
            build(tmp_path / "name", "two")
    assert (tmp_path / "name" / "deep" / "file.txt").read_text() == "one"


@pytest.mark.parametrize("before", ["nothing", "folder", "build"])
def test_what_appears_during_the_build_stays(tmp_path: Path, before: str) -> None:
    target = tmp_path / "name"
    if before == "folder":
        target.mkdir()
    if before == "build":
        build(target, "one")
    with pytest.raises(InputError, match=r"name: (exists and is not|is not replaced)"), whole_folder(target) as folder:
        write_tree(folder, {"deep/file.txt": "two"})
        target.mkdir(exist_ok=True)
        (target / "thesis.txt").write_text("years of work")
    assert (target / "thesis.txt").read_text() == "years of work"
    assert names(tmp_path) == ["name"]
    assert before != "build" or (target / "deep" / "file.txt").read_text() == "one"


def test_a_file_that_appears_during_the_build_stays(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name: cannot be written: Not a directory"), whole_folder(tmp_path / "name"):
        (tmp_path / "name").write_text("x")
    assert (tmp_path / "name").read_text() == "x" and names(tmp_path) == ["name"]


def test_what_appears_at_the_last_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the last look and the exchange: the exchange is taken back."""
    target, swap = tmp_path / "name", build_folder._swap
    build(target, "one")

    def late(one: Path, other: Path) -> None:
        (other / "thesis.txt").write_text("years of work")
        monkeypatch.setattr(build_folder, "_swap", swap)
        swap(one, other)

    monkeypatch.setattr(build_folder, "_swap", late)
    with pytest.raises(InputError, match=r"is not replaced: it holds `thesis.txt`, which no build wrote"):
        build(target, "two")
    assert (target / "thesis.txt").exists() and (target / "deep" / "file.txt").read_text() == "one"
    assert names(tmp_path) == ["name"]


def test_systems_without_an_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three renames do; if the second fails, the first is taken back."""
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    target, rename = tmp_path / "name", os.rename
    build(target, "one")
    build(target, "two")
    assert (target / "deep" / "file.txt").read_text() == "two" and names(tmp_path) == ["name"]

    def failing(source: Path, place: Path) -> None:
        if place == target and ".old" not in str(source):
            raise OSError(errno.ENOTEMPTY if target.exists() else errno.EIO, "broken")
        rename(source, place)

    monkeypatch.setattr("os.rename", failing)
    with pytest.raises(InputError, match="cannot be written"):
        build(target, "three")
    assert (target / "deep" / "file.txt").read_text() == "two" and names(tmp_path) == ["name"]


def test_a_folder_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(tmp_path / "name")
    build(tmp_path / "name", "one")
    build(tmp_path / "latest", "two")
    assert (tmp_path / "latest").is_symlink() and (tmp_path / "name" / "deep" / "file.txt").read_text() == "two"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    build(tmp_path / "name", "one")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"deep/file.txt: cannot be written: No space left on device"):
        build(tmp_path / "name", "two")
    assert names(tmp_path) == ["name"] and (tmp_path / "name" / "deep" / "file.txt").read_text() == "one"


def test_damage_is_found(tmp_path: Path) -> None:
    build(tmp_path / "name", "one")
    check_unchanged(tmp_path / "name", "report.json")
    (tmp_path / "name" / "report.json").write_text("{ }")
    with pytest.raises(Damaged, match=r"report.json: is damaged: it is not what manifest.json lists"):
        check_unchanged(tmp_path / "name", "report.json")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2, "files": {}}', '{"format": 1, "files": [1]}', "[" * 9999]
)
def test_damaged_manifests(tmp_path: Path, content: str) -> None:
    build(tmp_path / "name", "one")
    (tmp_path / "name" / MANIFEST).write_text(content)
    with pytest.raises(Damaged, match=r"manifest.json: is damaged"):
        build(tmp_path / "name", "two")


def test_the_manifest_lists_all_files(tmp_path: Path) -> None:
    build(tmp_path / "name", "one")
    assert json.loads((tmp_path / "name" / MANIFEST).read_text())["files"].keys() == {"deep/file.txt", "report.json"}
