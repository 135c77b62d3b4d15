"""Files as sources: .npz, folders of them, idx; and data sets as files. Nothing in a file is run."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from offramp.configs.arrays import ArrayFile
from offramp.configs.errors import InputError
from offramp.data import idx_files as idx_files_module
from offramp.data.load import load_source
from offramp.data.source import Samples, digest_of_source
from offramp.data.write import write_set
from offramp.planner.ir.network import Shape
from offramp.planner.spec.dataset import load_data

X = np.arange(60, dtype=np.uint8).reshape(5, 1, 3, 4)
Y = np.array([0, 1, 2, 0, 1])


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def idx_files(folder: Path, packed: bool = False) -> Path:
    """The four files: five training images, two for the test."""
    folder.mkdir()
    for part, count in (("train", 5), ("t10k", 2)):
        for name, array in (("images-idx3", X[:count, 0]), ("labels-idx1", Y[:count].astype(np.uint8))):
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files(packed: bool, tmp_path: Path) -> None:
    source = load_source(idx_files(tmp_path / "mnist", packed))
    assert np.array_equal(source.samples.x, X) and source.samples.y is not None and source.test is not None
    assert source.samples.y.tolist() == Y.tolist() and np.array_equal(source.test.x, X[:2])


def test_packing_is_no_difference(tmp_path: Path) -> None:
    sources = [load_source(idx_files(tmp_path / str(packed), packed)) for packed in (False, True)]
    assert digest_of_source(sources[0]) == digest_of_source(sources[1])


def test_idx_files_without_a_test_split(tmp_path: Path) -> None:
    folder = idx_files(tmp_path / "mnist")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="there is no t10k-labels-idx1-ubyte, and no t10k-"):
        load_source(folder)
    (folder / "t10k-images-idx3-ubyte").unlink()
    assert load_source(folder).test is None


def test_idx_files_of_the_test_split_alone_say_what_is_missing(tmp_path: Path) -> None:
    folder = idx_files(tmp_path / "mnist")
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"no train-images-idx3-ubyte, (.|\n)*no train-labels-idx1-ubyte, "):
        load_source(folder)


def test_labels_that_are_words_are_refused_with_the_fix(tmp_path: Path) -> None:
    np.savez(tmp_path / "words.npz", x=X, y=np.array(["cat"] * len(X)))
    with pytest.raises(
        InputError, match=r"labels `y` are text .*; numbers from 0 on are .*np\.unique\(y, return_inverse"
    ):
        load_source(tmp_path / "words.npz")
    np.savez(tmp_path / "objects.npz", x=X, y=np.array(["cat"] * len(X), object))
    with pytest.raises(InputError, match=r"`y`: numbers of kind '\|O'; plain integers"):
        load_source(tmp_path / "objects.npz")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data[:-1], "is damaged: 59 values; its header announces 60"),
        (lambda data: data + b"0", "is damaged: 61 values"),
        (lambda data: b"\0\0\x0d" + data[3:], "is not an idx file of unsigned bytes with 3 axes"),
        (lambda data: data[:10], "is not an idx file"),
        (lambda data: b"", "is not an idx file"),
        (lambda data: data[:4] + b"\xff" * 12 + data[16:], "its header announces 79,228"),
        (lambda data: gzip.compress(data)[:-9], "is damaged: "),
        (lambda data: gzip.compress(bytes(1001)), "unpacks to more than 1,000 bytes"),
    ],
)
def test_damaged_idx_files(change: Any, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_files_module, "DATA_FILE", 1000)
    path = idx_files(tmp_path / "mnist") / "train-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=complaint) as caught:
        load_source(path.parent)
    assert str(path) in str(caught.value)


def test_labels_for_every_image(tmp_path: Path) -> None:
    folder = idx_files(tmp_path / "mnist")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(Y[:3].astype(np.uint8)))
    with pytest.raises(InputError, match=r"`y` is uint8 \(3,\); one integer for each of 5 samples"):
        load_source(folder)


def test_a_set_is_written_and_read_again(tmp_path: Path) -> None:
    samples = Samples(X.astype(np.int8), Y, np.array([1, 1, 2, 2, 3]))
    path = tmp_path / "new" / "set.npz"
    first = write_set(path, samples, ("cat", "dög", "ox"))
    assert path.read_bytes() == first == write_set(tmp_path / "again.npz", samples, ("cat", "dög", "ox"))
    source = load_source(path)
    assert source.classes == ("cat", "dög", "ox") and source.samples.y is not None
    assert source.samples.groups is not None and source.samples.groups.tolist() == [1, 1, 2, 2, 3]
    data = load_data("test", path, Shape(1, 3, 4), 3)
    assert np.array_equal(data.x, X) and np.array_equal(data.y, Y)


def test_a_set_without_labels(tmp_path: Path) -> None:
    write_set(tmp_path / "set.npz", Samples(X.astype(np.int8)))
    assert ArrayFile(tmp_path / "set.npz", 1000).headers.keys() == {"x"}
    assert load_source(tmp_path / "set.npz").samples.y is None


def test_only_int8_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`x` is uint8; int8 is written: normalize it first"):
        write_set(tmp_path / "set.npz", Samples(X))


def test_a_folder_of_npz_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=X[:2], y=Y[:2])
    np.savez(tmp_path / "a.npz", x=X[2:4], y=Y[2:4])
    np.savez(tmp_path / "test.npz", x=X[4:], y=Y[4:])
    source = load_source(tmp_path)
    assert np.array_equal(source.samples.x, X[[2, 3, 0, 1]]) and source.test is not None
    assert np.array_equal(source.test.x, X[4:])


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": X[:, :, :2], "y": Y}, r"samples of different shapes: \(1, 2, 4\), \(1, 3, 4\)"),
        ({"x": X.astype(np.int16), "y": Y}, "values of different kinds: int16, uint8"),
        ({"x": X}, "only 1 of 2 parts have labels `y`"),
        ({"x": X, "y": Y, "classes": ["a", "b", "c"]}, "do not have the same `classes`"),
        ({"x": X, "y": Y - 1}, "labels run from -1 to 1"),
        ({"x": X, "y": Y, "groups": Y[:2]}, r"`groups` is int64 \(2,\); one integer for each of 5 samples"),
        ({"y": Y}, "there is no array `x`"),
        ({"x": X, "y": Y, "classes": np.array([1, 2])}, "classes: .*a list of words is expected"),
    ],
)
def test_files_that_do_not_go_together(arrays: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(InputError, match=complaint):
        load_source(tmp_path)


class Hostile:
    """What a pickle runs as it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize("name", ["x", "y", "classes"])
def test_pickles_are_refused_unread(name: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"x": X, "y": Y, "classes": np.array(["a"])} | {name: np.array([Hostile()], object)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=r"numbers of kind '\|O'"):
        load_source(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(InputError, match="it is no archive"):
        load_source(tmp_path / "b.npz")


def test_words_that_are_none(tmp_path: Path) -> None:
    """Code points beyond Unicode's last."""
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y, classes=np.array([b"\xff" * 4]).view("<U1"))
    with pytest.raises(InputError, match="classes: "):
        load_source(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no data; expected is an"):
        load_source(tmp_path)
    for name, reason in (("gone.npz", "No such file"), ("x" * 300, "File name too long"), ("a\0b", "null")):
        with pytest.raises(InputError, match=f"cannot be read: .*{reason}"):
            load_source(tmp_path / name)
