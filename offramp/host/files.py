"""Outputs appear whole or not at all: written beside their place, then renamed. An input is never written over."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import files_read
from offramp.host.stopping import uninterrupted


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text, as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. InputError if it cannot be written, or is a device or a file that was read."""
    with ExitStack() as stack, writing(path):
        place = Path(os.path.realpath(path))
        if place.exists() and not place.is_file() and not place.is_dir():
            raise ValueError("exists and is not a file")
        if place.is_file() and any(_same(place, Path(one)) for one in files_read()):
            raise ValueError("it was read, and is not written over")
        make_parents(place, stack)
        with uninterrupted():
            handle, fresh = tempfile.mkstemp(dir=place.parent, prefix=_hidden(place))
            stack.callback(Path(fresh).unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(fresh, 0o644)
        os.replace(fresh, place)


def write_tree(folder: Path, files: Mapping[str, str]) -> None:
    """Write files by name relative to `folder`, which must not hold them yet. InputError if that fails."""
    for name, text in files.items():
        with writing(folder / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """An error of the system while writing `path` becomes an InputError."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(Diagnostic(Where(str(path)), f"cannot be written: {reason}")) from error


def make_parents(path: Path, stack: ExitStack) -> None:
    """Make the folders above `path`; those that are still empty as the stack ends are removed again."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for folder in reversed(missing):
        with uninterrupted():
            folder.mkdir(exist_ok=True)
            stack.callback(_remove_if_empty, folder)


def fresh_folder(place: Path, stack: ExitStack) -> Path:
    """A new folder beside `place`, in the same file system; it is removed with all that it holds as the stack ends."""
    with uninterrupted():
        fresh = Path(tempfile.mkdtemp(dir=place.parent, prefix=_hidden(place)))
        stack.callback(remove_folder, fresh)
    fresh.chmod(0o755)
    return fresh


def remove_folder(folder: Path) -> None:
    with uninterrupted():
        shutil.rmtree(folder, ignore_errors=True)


def _hidden(place: Path) -> str:
    """How the names of temporary files beside a path start. A long name is not made longer."""
    return f".{place.name[:40]}."


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False
