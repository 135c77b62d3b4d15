"""Which training images candidates are compared on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ir.network import Shape
from offramp.training.data import Split, read_split
from offramp.training.spec import load_train_spec
from tests.helpers.training import SPEC, write_training

DEVICE = load_device()
PEOPLE = 6


def split_of(folder: Path, groups: object = None) -> Split:
    """The split of the training data, with an array `groups` or without."""
    write_training(folder, SPEC + "fronts: {count: 1}\nheads: none\nbudget: 1 s\n")
    spec = load_train_spec(folder / "train.yaml", DEVICE)
    path = spec.data["training"]
    with np.load(path, allow_pickle=False) as arrays:
        kept = dict(arrays)
    if groups is not None:
        kept["groups"] = np.resize(np.asarray(groups), len(kept["y"])) if np.ndim(groups) else np.zeros(3, int)
    np.savez(path, **kept)
    return read_split(spec, Shape(*kept["x"].shape[1:]), 1024)


def test_all_images_are_in_one_of_both_parts(tmp_path: Path) -> None:
    split = split_of(tmp_path)
    both = np.concatenate([split.fitting, split.validation])
    assert sorted(both.tolist()) == list(range(len(split.images.x)))


def test_groups_stay_whole(tmp_path: Path) -> None:
    """A person whom networks have learned from says little about others."""
    split = split_of(tmp_path, np.arange(PEOPLE))
    compared, learned = set((split.validation % PEOPLE).tolist()), set((split.fitting % PEOPLE).tolist())
    assert compared and learned and not compared & learned
    assert len(split.validation) <= len(split.fitting)


def test_a_single_group_is_split_by_images(tmp_path: Path) -> None:
    split = split_of(tmp_path, [7])
    assert np.array_equal(split.validation, split_of(tmp_path).validation)


def test_groups_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`groups` is int64 \(3,\); an integer for each of"):
        split_of(tmp_path, 3)
