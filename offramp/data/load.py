"""Where data come from: the kind of source that a path or a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.extras import install_command
from offramp.data.functions import names_function, read_function
from offramp.data.idx_files import has_idx, read_idx_folder
from offramp.data.npz_files import read_npz, read_npz_folder
from offramp.data.source import Source

SOURCES = (
    "an .npz file, a folder of .npz files, of the idx files of MNIST or of class folders with pictures, "
    "or a function as module:function"
)


@dataclass(frozen=True)
class Reading:
    """How a source is read. `layout`: the axes of arrays, where they do not show them (a key of LAYOUTS). `resize`:
    rows and columns of pictures. `folder`: where a function of the vendor's form finds its files."""

    layout: str | None = None
    resize: tuple[int, int] | None = None
    folder: Path = Path("data")


def load_source(name: Path | str, reading: Reading = Reading()) -> Source:
    """Read what a path, or the name `module:function`, stands for. Code runs only for the latter.

    InputError if it is none of SOURCES, or damaged, or an option does not fit it.
    """
    try:
        return _load(Path(name), str(name), reading)
    except OSError as error:  # of folders that cannot be listed, and names that cannot be
        raise InputError(Diagnostic(Where(str(name)), f"cannot be read: {error.strerror}")) from error


def _load(path: Path, name: str, reading: Reading) -> Source:
    where = Where(name)
    is_function = names_function(name) and not path.exists()
    is_folder = path.is_dir()
    pictures = is_folder and not has_idx(path) and not any(path.glob("*.npz"))
    if reading.resize and not pictures:
        raise InputError(Diagnostic(where, "only pictures are resized (--resize)"))
    if reading.layout and (pictures or (is_folder and has_idx(path))):
        raise InputError(Diagnostic(where, "the axes of these files are known; --layout is for arrays"))
    if is_function:
        return read_function(name, reading.folder, reading.layout)
    if pictures:
        return _read_pictures(path, reading.resize)
    if not is_folder:
        return read_npz(path, reading.layout)
    return read_idx_folder(path) if has_idx(path) else read_npz_folder(path, reading.layout)


def _read_pictures(folder: Path, size: tuple[int, int] | None) -> Source:
    where = Where(str(folder))
    if not any(path.is_dir() for path in folder.iterdir()):
        raise InputError(Diagnostic(where, f"holds no data; expected is {SOURCES}"))
    try:
        from offramp.data.pictures import read_pictures
    except ModuleNotFoundError as error:
        raise InputError(Diagnostic(where, f"pictures need Pillow; {install_command('pictures')}")) from error
    return read_pictures(folder, size)
