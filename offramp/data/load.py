"""Where data come from: the kind of source that a path or a name stands for."""

from __future__ import annotations

from pathlib import Path

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.data.idx_files import has_idx, read_idx_folder
from offramp.data.npz_files import read_npz, read_npz_folder
from offramp.data.source import Source

SOURCES = "an .npz file, a folder of .npz files, of the four idx files of MNIST"


def load_source(path: Path, layout: str | None = None) -> Source:
    """Read what a path stands for. `layout`: the axes of arrays, where they do not show it.

    InputError if it is none of SOURCES, or damaged.
    """
    where = Where(str(path))
    if not path.is_dir():
        return read_npz(path, layout)
    if has_idx(path):
        return read_idx_folder(path)
    if any(path.glob("*.npz")):
        return read_npz_folder(path, layout)
    raise InputError(Diagnostic(where, f"holds no data; expected is {SOURCES}"))
