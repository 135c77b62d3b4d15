"""What rolling buffers keep from one inference to the next, by the integer reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.ir.chain import Chain, with_threshold
from offramp.planner.reference.layers import run_layer, run_network
from offramp.planner.reference.profile import chain_tensors, exit_indices, profile, profile_answers
from offramp.planner.reference.sequence import BATCH, run_in_order, run_sequence, start_state
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import ManualSpec
from tests.helpers.rolling import EVERY, REACHED, TCN
from tests.helpers.specs import write_spec

DEVICE = load_device()


def chain_of(folder: Path, text: str) -> Chain:
    spec = load_spec(write_spec(folder, text, TCN), DEVICE)
    assert isinstance(spec, ManualSpec)
    return build_chain(spec, read_sources(spec, DEVICE), DEVICE)


def images(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.random.default_rng(3).integers(-128, 128, (count, *TCN.shape)).astype(np.int8)


def test_the_buffer_holds_the_last_rows(tmp_path: Path) -> None:
    """Each input's row, by the layers in front of the buffer alone; zeros before the first one."""
    chain = chain_of(tmp_path, REACHED)
    network, x = chain.networks["tcn"], images(11)
    rows = [run_layer(network.layers[2], [run_layer(network.layers[0], [one[None]])])[0, :, 0] for one in x]
    expected = np.concatenate([np.zeros((8, 1), np.int8)] * 8 + rows, axis=1)
    state = start_state(chain)
    assert not state.buffers["tcn:roll"].any()
    everything = with_threshold(chain, {"front": 1 << 30})  # none leaves
    for number, one in enumerate(x):
        _, state = run_sequence(everything, one[None], state, [])
        assert np.array_equal(state.buffers["tcn:roll"][:, :, 0], expected[:, number + 1 : number + 9])


def test_an_input_that_leaves_before_the_buffer_is_written_is_not_in_it(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, REACHED)
    x = images(60)
    profiled = profile(chain, x)
    left = exit_indices(chain, profiled) == 0
    assert 10 < left.sum() < 50
    # What reaches the second stage is answered as if the others had not been there ...
    reached = run_in_order(chain.networks["tcn"], x[~left])[5].reshape(-1, 3)
    assert np.array_equal(profiled.results[1][~left], reached)
    # ... and the others as if they had come last.
    for image in np.flatnonzero(left)[:5]:
        before = x[: image + 1][~left[: image + 1]]
        asked = run_in_order(chain.networks["tcn"], np.concatenate([before, x[image : image + 1]]))[5]
        assert np.array_equal(profiled.results[1][image], asked[-1].reshape(-1))


def test_an_input_that_leaves_behind_it_is(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, EVERY)
    x = images(60)
    profiled = profile(chain, x)
    assert 10 < (exit_indices(chain, profiled) == 0).sum() < 50
    never = profile(with_threshold(chain, {"quick-insert": 1 << 30}), x)
    assert all(np.array_equal(one, other) for one, other in zip(profiled.results, never.results, strict=True))
    assert np.array_equal(profiled.results[1], run_in_order(chain.networks["quick"], x)[5].reshape(-1, 3))


def test_batches_follow_one_another(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, EVERY)
    x = images(BATCH + 7)
    profiled = profile(chain, x)
    state, logits = start_state(chain), []
    for one in x:
        tensors, state = run_sequence(chain, one[None], state, [chain.stages[1].result])
        logits.append(tensors[chain.stages[1].result].reshape(-1))
    assert np.array_equal(profiled.results[1], np.stack(logits))
    answers = profile_answers(chain, x)
    assert np.array_equal(answers.classes, np.stack(profiled.answers))
    assert np.array_equal(answers.confidence, np.stack(profiled.confidence))


def test_the_tensors_of_a_chain_are_those_of_a_first_input(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, EVERY)
    x = images(2)
    tensors = chain_tensors(chain, x)
    for image in range(2):
        first, _ = run_sequence(chain, x[image : image + 1], start_state(chain), ["quick/5"])
        assert np.array_equal(tensors["quick/5"][image : image + 1], first["quick/5"])


def test_no_images(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, EVERY)
    assert run_in_order(chain.networks["quick"], images(0))[5].shape == (0, 3, 1, 1)
    assert [one.shape for one in profile(chain, images(1)).results] == [(1, 3), (1, 3)]


def test_without_an_order_a_network_with_a_buffer_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="network `tcn` has rolling buffers"):
        run_network(chain_of(tmp_path, REACHED).networks["tcn"], images(1))
