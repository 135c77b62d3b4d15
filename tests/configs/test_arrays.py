"""Arrays of anybody: what their headers say is believed only as far as the file goes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.arrays import ArrayFile, read_array, read_arrays
from offramp.configs.errors import Damaged
from tests.helpers.memory import memory_below

X = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
LIMIT = 1 << 20


def npy(descr: str = "'|i1'", shape: str = "(2, 3, 4)", data: bytes = X.tobytes(), length: int | None = None) -> bytes:
    """An array's file with any header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode("latin-1") + b"\n"
    size = len(header) if length is None else length
    return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + header + data


def npz(path: Path, content: bytes, compression: int = zipfile.ZIP_DEFLATED, name: str = "x.npy") -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(Damaged) as caught, memory_below(8 << 20):
        read_arrays(path, LIMIT)
    assert str(caught.value).startswith(f"{path}: is not an .npz file with plain arrays, or damaged: ")
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["|b1", "|i1", "<u2", ">i4", "<i8", "<f4", "<f8"])
def test_what_numpy_writes(tmp_path: Path, dtype: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for order, one in (("C", values), ("F", np.asfortranarray(values)), ("0", values[0, 0, 0]), ("e", values[:0])):
        np.savez_compressed(tmp_path / f"{order}.npz", x=one, other=np.array([object()]))
        file = ArrayFile(tmp_path / f"{order}.npz", LIMIT, ("x", "y"))
        assert file.headers.keys() == {"x"} and file.headers["x"].shape == one.shape
        assert file.load("x").dtype == one.dtype and np.array_equal(file.load("x"), one)
        np.save(tmp_path / f"{order}.npy", one)
        assert np.array_equal(read_array(tmp_path / f"{order}.npy", LIMIT), one)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (npy(shape="(10**6, 3, 4)"), "`shape`|damaged"),
        (npy(shape="(1000000000000, 4)"), "its header announces 4000000000"),
        (npy(shape="(2, 3, -4)"), "`shape` is no tuple of numbers"),
        (npy(shape="(True, 24)"), "`shape` is no tuple of numbers"),
        (npy(shape="(" + "9" * 5000 + ",)"), "a header of"),
        (npy(shape="(" + "9" * 3900 + ", 10)"), "its header announces|x.npy has"),
        (npy(descr="',,,'"), "numbers of kind ',,,'"),
        (npy(descr="'|O'"), "numbers of kind '|O'"),
        (npy(descr="'<U1000000000'"), "numbers of kind"),
        (npy(descr="[('a', '<i4')]"), "numbers of kind"),
        (npy(descr="(" * 300 + ")" * 300), "its header is damaged"),
        (npy(length=65535), "a header of 65535 bytes"),
        (npy(length=5), "its header is damaged"),
        (npy(data=b"short"), "its header announces"),
        (npy(data=bytes(100)), "its header announces"),
        (npy(shape="(2000000,)", data=bytes(2_000_000)), "its arrays have 2,000,000 bytes; 1,048,576 are allowed"),
        (b"PK", "does not start like an array"),
        (b"", "does not start like an array"),
    ],
)
def test_headers_that_lie(tmp_path: Path, content: bytes, complaint: str) -> None:
    found = refused(npz(tmp_path / "a.npz", content))
    assert any(part in found for part in complaint.split("|"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_ways_to_compress(tmp_path: Path, compression: int) -> None:
    assert "compressed in a way that is not read" in refused(npz(tmp_path / "a.npz", npy(), compression))


def test_every_byte_that_is_wrong(tmp_path: Path) -> None:
    """No other exception, whichever byte of an archive is changed."""
    good = npz(tmp_path / "a.npz", npy()).read_bytes()
    for place in range(len(good)):
        for value in (0, 255, good[place] ^ 1):
            (tmp_path / "b.npz").write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
            try:
                read_arrays(tmp_path / "b.npz", LIMIT)
            except Damaged as error:
                assert "is not an .npz file" in str(error)
        (tmp_path / "b.npz").write_bytes(good[:place])
        refused(tmp_path / "b.npz")


def test_archives_of_many_entries(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5000):
            archive.writestr(str(number), b"")
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    assert "more than 4096 entries" in refused(tmp_path / "a.npz")
