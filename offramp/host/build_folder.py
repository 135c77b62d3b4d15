"""The folder of a build, with a manifest of its files. It is put in place in one step and replaces only a build."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from offramp.configs.bounds import JSON_FILE
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import digest_of, files_read, read_bytes
from offramp.configs.records import json_text
from offramp.host.files import fresh_folder, make_parents, write_text, writing
from offramp.host.stopping import uninterrupted

MANIFEST = "manifest.json"
FORMAT = 1
BUILD = "an earlier build"
_SHOWN = 5  # files in the way that a message names
_AT_FDCWD, _EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextmanager
def whole_folder(target: Path, what: str = BUILD) -> Iterator[Path]:
    """A new folder that takes the place of `target` if the block succeeds, and is removed if it does not.
    `what`: a folder of ours that may be there, in words.

    InputError if anything but a build of ours is at that place, before the block or after it.
    """
    check_free(target, what)
    with ExitStack() as stack:
        with writing(target):
            place = Path(os.path.realpath(target))
            make_parents(place, stack)
            fresh = fresh_folder(place, stack)
        yield fresh
        write_text(fresh / MANIFEST, manifest_of(fresh))
        with writing(target), uninterrupted():
            _take_place(fresh, place, target, what)


def check_free(target: Path, what: str = BUILD) -> None:
    """InputError if there is something at `target` that a build may not replace: anything but an empty folder and a
    build of ours in which nobody has added or changed anything, and which holds no file that was read."""
    with writing(target):
        place = Path(os.path.realpath(target))
        if not os.path.lexists(place):
            return
        if not place.is_dir() or (any(place.iterdir()) and not (place / MANIFEST).is_file()):
            found = f"exists and is not the folder of {what}; choose another"
            raise InputError(Diagnostic(Where(str(target)), found))
        others = list(_others(place)) if any(place.iterdir()) else []
    read = [one for one in files_read() if Path(os.path.realpath(one)).is_relative_to(place)]
    others += [f"`{os.path.relpath(one, place)}`, which is an input" for one in read]
    if others:
        move = "Move it" if len(others) == 1 else "Move them"
        more = f" (and {len(others) - _SHOWN} more)" if len(others) > _SHOWN else ""
        message = f"is not replaced: it holds {', '.join(others[:_SHOWN])}{more}. {move}, or choose another folder"
        raise InputError(Diagnostic(Where(str(target)), message))


def check_unchanged(folder: Path, name: str) -> None:
    """Damaged if a file of a build, as it was read, is not what the build wrote. InputError without a manifest."""
    if read_manifest(folder).get(name) != digest_of(folder / name):
        raise Damaged(Diagnostic(Where(str(folder / name)), f"is damaged: it is not what {MANIFEST} lists"))


def read_manifest(folder: Path) -> Mapping[str, str]:
    """SHA-256 of the files of a build by name. Damaged if the manifest is not one."""
    path = folder / MANIFEST
    try:
        content = json.loads(read_bytes(path, JSON_FILE, recorded=False))
        if content["format"] == FORMAT and all(type(one) is str for one in content["files"].values()):
            return dict(content["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise Damaged(Diagnostic(Where(str(path)), "is damaged: it is no list of the files of a build"))


def manifest_of(folder: Path) -> str:
    """The text of the manifest of all other files in a folder."""
    names = [name for name in _names(folder) if not name.endswith("/") and name != MANIFEST]
    files = {name: _digest((folder / name).read_bytes()) for name in names}
    return json_text({"format": FORMAT, "files": dict(sorted(files.items()))})


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _names(folder: Path, prefix: str = "") -> Iterator[str]:
    """Everything in a folder, relative to it; folders end with a slash. Links are not followed."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield f"{prefix}{entry.name}/"
            yield from _names(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}"


def _others(folder: Path) -> Iterator[str]:
    """What in the folder of a build is not as the build left it."""
    known = read_manifest(folder)
    for name in sorted(_names(folder)):
        if name == MANIFEST or (name.endswith("/") and any(one.startswith(name) for one in known)):
            continue
        path = folder / name
        if name not in known:
            yield f"`{name}`, which no build wrote"
        elif path.is_symlink() or not path.is_file() or _digest(path.read_bytes()) != known[name]:
            yield f"`{name}`, which has changed since the build"


def _take_place(fresh: Path, place: Path, target: Path, what: str) -> None:
    """Rename `fresh` to `place`. What is there is checked again, and is called `fresh` afterwards."""
    try:
        os.rename(fresh, place)  # onto nothing, or an empty folder
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    check_free(target, what)
    _swap(fresh, place)
    try:
        others = list(_others(fresh))
    except InputError:
        others = [MANIFEST]
    if others:  # it has changed between the two
        _swap(fresh, place)
        check_free(target, what)
        raise InputError(Diagnostic(Where(str(target)), f"is not replaced: it keeps changing ({others[0]})"))


def _swap(one: Path, other: Path) -> None:
    """Exchange the names of two folders: in one step or, where the system cannot, through a third name."""
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if exchange and not exchange(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        return
    reason = ctypes.get_errno() if exchange else errno.ENOSYS
    if reason not in _NO_EXCHANGE:
        raise OSError(reason, os.strerror(reason))
    aside = one.with_name(f"{one.name}.old")
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except BaseException:
        os.rename(aside, other)
        raise
    os.rename(aside, one)
