"""Sources in Python: data set objects, and functions that run only because they were named."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.configs.errors import InputError
from offramp.data.load import Reading, load_source
from offramp.data.objects import TRANSFORM_NOTE, source_of
from offramp.data.source import Samples, Source

VALUES = np.arange(-12, 12, dtype=np.float32).reshape(4, 1, 2, 3)


class Items:
    """A data set as torchvision has them: values through a transform, labels as they are."""

    def __init__(self, values: Any, labels: Any, transform: Any = None) -> None:
        self.values, self.labels, self.transform = values, labels, transform

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        value = self.values[number]
        return (self.transform(value) if self.transform else value), self.labels[number]


class Unlucky(Items):
    """Augmentation inside, where nobody can take it away."""

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.values[number] + random.random(), self.labels[number]


TRAIN = Items(VALUES, [0, 1, 0, 1])
TEST = Items(VALUES[:1], [1])


def test_data_set_objects() -> None:
    source = source_of(TRAIN, TEST, ("a", "b"))
    assert np.array_equal(source.samples.x, VALUES) and source.test is not None and source.samples.y is not None
    assert source.samples.y.tolist() == [0, 1, 0, 1] and len(source.test) == 1 and source.notes == ()


def test_tensors_are_values_too() -> None:
    torch = pytest.importorskip("torch")
    source = source_of(Items(torch.from_numpy(VALUES.copy()), torch.tensor([0, 1, 0, 1])))
    assert np.array_equal(source.samples.x, VALUES) and source.samples.y is not None
    assert source.samples.y.tolist() == [0, 1, 0, 1]


def test_series_are_channels_and_time() -> None:
    assert source_of(Items(VALUES[:, 0], [0] * 4)).samples.x.shape == (4, 2, 3, 1)


def test_only_a_test_set_is_split_itself() -> None:
    source = source_of(None, TRAIN)
    assert source.test is None and len(source.samples) == 4


def test_augmentation_is_left_out() -> None:
    """The training set draws each item anew; read as the test set is read, it does not."""
    noisy = Items(VALUES, [0, 1, 0, 1], lambda value: value + random.random())
    source = source_of(noisy, Items(VALUES[:1], [1], lambda value: value))
    assert source.notes == (TRANSFORM_NOTE,) and np.array_equal(source.samples.x, VALUES)
    assert noisy[0][0][0, 0, 0] != VALUES[0, 0, 0, 0]


def test_augmentation_that_cannot_be_left_out() -> None:
    for test in (TEST, None):
        with pytest.raises(InputError, match="items of the training set change from reading to reading"):
            source_of(Unlucky(VALUES, [0] * 4), test)


@pytest.mark.parametrize(
    ("train", "complaint"),
    [
        (Items(VALUES, ["a"] * 4), "the label of item 0 is <U1"),
        (Items(VALUES, [0.5] * 4), "the label of item 0 is float64"),
        (Items(VALUES, [[1, 2]] * 4), r"the label of item 0 is int64 \(2,\)"),
        (Items(VALUES, [0, -1, 0, 1]), "labels run from -1 to 1"),
        (Items([VALUES[0], VALUES[0, 0]], [0, 1]), r"item 1 is float32 \(2, 3\), the first one float32 \(1, 2, 3\)"),
        (Items(VALUES[:, :, :, :, None, None], [0] * 4), "values of shape"),
        (Items(["text"], [0]), "the value of item 0 is a str; an array or a tensor is expected"),
        (Items([], []), "a data set without items"),
        ([1, 2], r"item 0 is a int; \(value, label\) is expected"),
        (iter("no length"), "is no data set"),
        (None, "there is neither a training nor a test set"),
    ],
)
def test_objects_that_are_no_data_sets(train: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        source_of(train)


def test_arrays() -> None:
    source = source_of(VALUES[:, 0], np.zeros(4, np.int32), layout="NHW")
    assert source.samples.x.shape == (4, 1, 2, 3) and source.samples.y is not None
    assert source_of(VALUES).samples.y is None


MODULE = """\
import random
import sys
from types import SimpleNamespace
import numpy as np

print("loading")

class Items:
    def __len__(self): return 10
    def __getitem__(self, number): return np.full((1, 2, 2), number, np.float32), number % 2

def loader(data, load_train=True, load_test=True):
    folder, args = data
    assert args.act_mode_8bit and not args.truncate_testset and folder == "here"
    return Items(), Items()

def arrays(): return np.zeros((4, 1, 2, 2), np.uint8) + 200, np.array([0, 1, 0, 1])
def wrong(): return 7
def fails(): raise KeyError("no such file")
def leaves(): sys.exit("Dataset not found!")
value = 3
datasets = [{"name": "Ten", "input": (1, 2, 2), "output": ("even", "odd"), "loader": loader}]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's in the working directory."""
    (tmp_path / "my_data.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "my_data"
    sys.modules.pop("my_data", None)


def test_a_loader_of_the_vendors_form(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = list(sys.path)
    for name, classes in (("loader", ()), ("Ten", ("even", "odd"))):
        source = load_source(f"{module}:{name}", Reading(folder=Path("here")))
        assert source.classes == classes and source.test is not None and source.samples.x.shape == (10, 1, 2, 2)
    assert sys.path == path
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == "loading\n"


def test_a_function_that_returns_arrays(module: str) -> None:
    assert load_source(f"{module}:arrays").samples.x.shape == (4, 1, 2, 2)


def test_a_function_that_returns_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Source("x", "made here", Samples(VALUES))
    monkeypatch.setattr(sys.modules[__name__], "made_here", lambda: made, raising=False)
    assert load_source(f"{__name__}:made_here") is made


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("my_data:wrong", r"returned a int; \(x, y\), \(train, test\) or a Source is expected"),
        ("my_data:fails", "failed in my_data.py, line 19: KeyError: 'no such file'"),
        ("my_data:leaves", "failed in my_data.py, line 20: SystemExit: Dataset not found!"),
        ("my_data:gone", "module my_data has no function `gone`"),
        ("my_data:value", "module my_data has no function `value`"),
        ("no_such_module:f", "there is no module no_such_module, neither in"),
    ],
)
def test_what_goes_wrong_in_it(name: str, complaint: str, module: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        load_source(name)
    assert str(caught.value).startswith(f"{name}: ")


def test_files_never_run_code(module: str, tmp_path: Path) -> None:
    """A path of that form is a file; a folder with Python in it has no data."""
    np.savez(tmp_path / "my_data:arrays", x=np.zeros((2, 1, 2, 2), np.uint8))
    (tmp_path / "my_data:arrays.npz").rename(tmp_path / "my_data:arrays")
    assert load_source("my_data:arrays").kind == "an .npz file"
    with pytest.raises(InputError, match="holds no data"):
        load_source(tmp_path)
    for name in ("my_data", "my_data.py", "my_data:arrays()", "./my_data:fails"):
        with pytest.raises(InputError):
            load_source(name)
    assert "my_data" not in sys.modules
