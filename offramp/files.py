"""Outputs appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from offramp.configs.errors import Diagnostic, InputError, Where

MARK = "report.json"  # a folder that holds it was made by a build, and may be replaced by one


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. InputError if it cannot be written or is a device, which would be replaced."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(Diagnostic(Where(str(path)), "cannot be written: exists and is not a file"))
    fresh = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(fresh, 0o644)
        os.replace(fresh, path)
    except OSError as error:
        raise InputError(Diagnostic(Where(str(path)), f"cannot be written: {error.strerror}")) from error
    finally:
        if fresh:
            Path(fresh).unlink(missing_ok=True)


def write_tree(folder: Path, files: Mapping[str, str]) -> None:
    """Write files by name relative to `folder`, which must not hold them yet."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of `target` if the block ends well, and vanishes if it does not.

    InputError if `target` is something that no build made: it is not overwritten.
    """
    if target.exists() and not (target / MARK).is_file() and not _is_empty(target):
        message = "exists and is not the folder of an earlier build; choose another"
        raise InputError(Diagnostic(Where(str(target)), message))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise InputError(Diagnostic(Where(str(target)), f"cannot be written: {error.strerror}")) from error
    try:
        fresh.chmod(0o755)
        yield fresh
        if target.exists():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            os.replace(target, old / "old")
            os.replace(fresh, target)
            shutil.rmtree(old)
        else:
            os.replace(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())
