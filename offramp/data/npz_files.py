"""Sources in .npz files: `x`, and as far as they have them `y`, `groups` and `classes`. Nothing in them is run."""

from __future__ import annotations

from pathlib import Path

from offramp.configs.arrays import ArrayFile
from offramp.configs.bounds import DATA_FILE, DATA_SOURCE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.data.source import Samples, Source, arranged, checked_labels, checked_numbers, joined

TEST = "test.npz"  # in a folder: the official test split


def read_npz(path: Path, layout: str | None) -> Source:
    """One file. InputError if it is none, or damaged."""
    samples, classes = _read(path, layout)
    return Source(str(path), "an .npz file", samples, None, classes)


def read_npz_folder(folder: Path, layout: str | None) -> Source:
    """All .npz files of a folder, in the order of their names; one called test.npz is the official test split."""
    files = sorted(folder.glob("*.npz"))
    where = Where(str(folder))
    size = sum(file.stat().st_size for file in files)
    if size > DATA_SOURCE:
        raise InputError(Diagnostic(where, f"its files have {size:,} bytes; {DATA_SOURCE:,} are allowed"))
    parts: list[Samples] = []
    test, named = None, set()
    total = 0
    for file in files:
        samples, classes = _read(file, layout)
        total += samples.x.nbytes
        if total > DATA_SOURCE:
            raise InputError(Diagnostic(where, f"its arrays have more than {DATA_SOURCE:,} bytes, which are allowed"))
        named.add(classes)
        if file.name == TEST:
            test = samples
        else:
            parts.append(samples)
    if not parts:
        raise InputError(Diagnostic(where, f"there is no .npz file but {TEST}"))
    if len(named) > 1:
        raise InputError(Diagnostic(where, "its files do not have the same `classes`"))
    return Source(str(folder), "a folder of .npz files", joined(parts, where), test, named.pop())


def _read(path: Path, layout: str | None) -> tuple[Samples, tuple[str, ...]]:
    where = Where(str(path))
    file = ArrayFile(path, DATA_FILE, ("x", "y", "groups", "classes"), text=("classes", "y"))
    if "x" not in file.headers:
        raise InputError(Diagnostic(where, "there is no array `x`"))
    x = arranged(file.load("x"), layout, where)
    y = checked_labels(file.load("y"), len(x), where) if "y" in file.headers else None
    groups = checked_numbers(file.load("groups"), len(x), "groups", where) if "groups" in file.headers else None
    return Samples(x, y, groups), file.load_text("classes") if "classes" in file.headers else ()
