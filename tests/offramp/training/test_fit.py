"""Training learns, is reproducible, and goes on where it stopped."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from offramp.configs.device import load_device
from offramp.planner.reference.layers import run_network
from offramp.training.design import Bits, Design, LayerDesign, network_of, with_gate
from offramp.training.features import tensor_of
from offramp.training.fit import fit, weights_of
from offramp.training.task import Augmentation, Copy, FitState, FitTask, Recipe, TrainingData
from offramp.training.teachers import SURE, taught, teacher_of
from tests.helpers.designs import LOGITS, SMALL, blobs

DEVICE = load_device()
X, Y = blobs(SMALL.input, 600)
DATA = TrainingData((Copy(X),), Y)
TASK = FitTask(SMALL, Recipe(batch=32), seed=7, length=150, until=150)


def accuracy(design: Design, state: FitState) -> float:
    """On inputs that were not trained on, by the integer reference."""
    x, y = blobs(design.input, 300, seed=1)
    logits = run_network(network_of(design, DEVICE, weights_of(design, state)), x)[len(design.layers) - 1]
    return float((logits.reshape(len(x), -1).argmax(axis=1) == y).mean())


def same(first: FitState, second: FitState) -> bool:
    return pickle.dumps(first) == pickle.dumps(second)


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_networks_of_all_widths_learn(bits: Bits) -> None:
    layers = (*(replace(layer, bits=bits, bias=True) for layer in SMALL.layers[:-1]), LOGITS)
    design = replace(SMALL, layers=layers)
    length = 150 if bits > 2 else 400
    assert accuracy(design, fit(DATA, replace(TASK, design=design, length=length, until=length))) > 0.97


def test_a_gate_learns_which_answers_are_right() -> None:
    """Half of the inputs show nothing, and have any label."""
    design = with_gate(SMALL)
    x, y = with_empty(600)
    state = fit(TrainingData((Copy(x),), y), replace(TASK, design=design, length=400, until=400))
    x, y = with_empty(400, seed=1)
    found = run_network(network_of(design, DEVICE, weights_of(design, state)), x)[len(design.layers) - 1]
    outputs = found.reshape(len(x), -1)
    shows = (x > -40).any(axis=(1, 2, 3))
    assert outputs.shape[1] == design.classes + 1 == 4
    assert (outputs[shows, :3].argmax(axis=1) == y[shows]).mean() > 0.97
    assert (outputs[shows, 3].mean() > 0) and (np.quantile(outputs[shows, 3], 0.1) > outputs[~shows, 3].max())


def with_empty(count: int, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    x, y = blobs(SMALL.input, count, seed)
    x[: count // 2] = np.random.default_rng(seed).integers(-128, -40, x[: count // 2].shape)
    return x, y


def test_series_learn_with_their_augmentation() -> None:
    layers = (
        LayerDesign("conv1d", 6, 5, pool=2, pool_stride=2, pool_average=True),
        LayerDesign("conv1d", 4, 3),
        LOGITS,
    )
    design = Design("series", replace(SMALL.input, channels=4, rows=48, cols=1), layers)
    x, y = blobs(design.input, 600)
    task = replace(TASK, design=design, recipe=Recipe(augmentation="series", batch=32))
    assert accuracy(design, fit(TrainingData((Copy(x),), y), task)) > 0.95


@pytest.mark.parametrize("augmentation", ["none", "images", "flips"])
def test_steps_in_parts_give_the_same_bytes(augmentation: Augmentation) -> None:
    task = replace(TASK, recipe=replace(TASK.recipe, augmentation=augmentation), length=40, until=40)
    whole = fit(DATA, task)
    part = fit(DATA, replace(task, until=13))
    again = fit(DATA, replace(task, start=pickle.loads(pickle.dumps(part))))
    assert part.step == 13 and same(whole, again) and same(whole, fit(DATA, task))
    assert not same(whole, fit(DATA, replace(task, seed=8)))
    assert same(part, fit(DATA, replace(task, until=13, start=part)))
    assert fit(DATA, replace(task, until=0)).step == 0


def test_the_result_does_not_depend_on_threads() -> None:
    task = replace(TASK, length=20, until=20)
    single = fit(DATA, task)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    assert same(single, fit(DATA, task))
    assert torch.get_num_threads() == threads + 1
    torch.set_num_threads(threads)


def test_a_network_learns_from_a_teacher_without_labels() -> None:
    master = network_of(SMALL, DEVICE, weights_of(SMALL, fit(DATA, TASK)))
    logits = tensor_of(master, 2, X)
    teacher = teacher_of(master, logits, None)
    assert taught(logits, teacher.sharpness).max(axis=1).mean() == pytest.approx(SURE, abs=0.05)
    unlabelled = TrainingData((Copy(X, taught(logits, teacher.sharpness)),), None)
    assert accuracy(SMALL, fit(unlabelled, replace(TASK, seed=9))) > 0.95
    varied = replace(TASK, seed=9, recipe=Recipe(batch=32, augmentation="images", strength=0.3))
    assert accuracy(SMALL, fit(TrainingData((Copy(X),), None, teacher), varied)) > 0.95


def test_the_teachers_answers_are_those_that_labels_make_likely() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1000, (4000, 3))
    odds = np.exp(logits / 512)
    labels = (odds.cumsum(axis=1) < rng.random((4000, 1)) * odds.sum(axis=1, keepdims=True)).sum(axis=1)
    network = network_of(SMALL, DEVICE)
    assert teacher_of(network, logits.astype(np.int32), labels).sharpness == 2.0**-9


def test_every_copy_is_used_in_turn() -> None:
    """Wrong labels in one copy's epoch do harm, which they would not if it were left out."""
    other = np.ascontiguousarray(X[:, :, ::-1])
    both = fit(TrainingData((Copy(X), Copy(other)), Y), replace(TASK, length=60, until=60))
    assert not same(both, fit(DATA, replace(TASK, length=60, until=60)))
    first = replace(TASK, length=60, until=len(X) // 32)
    assert same(fit(TrainingData((Copy(X), Copy(other)), Y), first), fit(DATA, first))


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ValueError, match="neither labels nor a teacher"):
        fit(TrainingData((Copy(X),), None), TASK)
    with pytest.raises(ValueError, match="design `small` reads 1x12x12"):
        fit(TrainingData((Copy(X[:, :, 1:]),), Y), TASK)
    answers = TrainingData((Copy(X, np.zeros((len(X), 3), np.float32)),), Y)
    with pytest.raises(ValueError, match="augmentation takes the teacher itself"):
        fit(answers, replace(TASK, recipe=Recipe(augmentation="images")))
