"""What is trained at all: candidates that fit beside main and can save something; reasons for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.tasks.executor import IN_PROCESS
from offramp.training.candidates import Bench, open_bench
from offramp.training.proposing import WORTH_IT, least_share, propose_fronts, propose_heads
from offramp.training.spec import load_train_spec
from tests.helpers.paths import SHARED
from tests.helpers.specs import write_network
from tests.helpers.training import SPEC, write_training

DEVICE = load_device()
STOCK = {
    "mnist": ("mnist-chw-ai85.yaml", "ai85-mnist-qat8-q.pth.tar", "1x28x28"),
    "kws20": ("kws20-v3-hwc.yaml", "ai85-kws20_v3-qat8-q.pth.tar", "128x128x1"),
}


def bench(folder: Path, text: str = SPEC) -> Bench:
    return open_bench(load_train_spec(write_training(folder, text), DEVICE), DEVICE)


def test_fronts_are_placed_beside_main_and_cost_less(tmp_path: Path) -> None:
    made = bench(tmp_path)
    found = propose_fronts(made, IN_PROCESS)
    costs = [one.cost.cost_by_exit["cycles"] for one in found.priced.values()]
    assert len(costs) > 5
    alone = made.alone.cost_by_exit["cycles"][0]
    assert all(first < WORTH_IT * alone and last > alone for first, last in costs)


def test_heads_that_could_not_save_are_left_out_with_the_reason(tmp_path: Path) -> None:
    made = bench(tmp_path)
    found = propose_heads(made, IN_PROCESS)
    assert {one.proposal.cut for one in found.priced.values()} == {0}
    reasons = dict(found.left_out)
    assert reasons["head-1a"] == "would cost 93% of main even if every input left there"
    for name, one in found.priced.items():
        assert least_share(made.spec.choice, one.cost, made.alone) <= WORTH_IT, name


def test_energy_asks_for_other_heads(tmp_path: Path) -> None:
    made = bench(tmp_path, SPEC.replace("accuracy_drop", "minimise: energy, accuracy_drop"))
    found = propose_heads(made, IN_PROCESS)
    assert {one.proposal.cut for one in found.priced.values()} != {0}


def test_a_main_before_which_nothing_saves_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(tmp_path)
    monkeypatch.setattr("offramp.training.proposing.WORTH_IT", 0.01)
    message = r"train.yaml:3: no front can run before main: .*would cost 15% of main even if every input left there"
    with pytest.raises(InputError, match=message):
        propose_fronts(made, IN_PROCESS)


@pytest.mark.slow
@pytest.mark.parametrize("name", STOCK)
def test_every_cut_of_a_stock_network_has_heads_or_a_reason(tmp_path: Path, name: str) -> None:
    folder = SHARED / "checkpoints"
    if not folder.is_dir():
        pytest.skip("the stock checkpoints are not there")
    network, checkpoint, shape = STOCK[name]
    main = f"{{network: {folder / network}, checkpoint: {folder / checkpoint}, input: {shape}}}"
    lines = [f"main: {main}" if line.startswith("main:") else line for line in SPEC.splitlines()]
    made = bench(tmp_path, "\n".join(lines) + "\n")
    found = propose_heads(made, IN_PROCESS)
    told = " ".join(what for what, _ in found.left_out)
    for cut in legal_cuts(made.main):
        tried = [one for one in found.priced.values() if one.proposal.cut == cut]
        assert tried or f"head-{cut}a" in told or f"layer {cut}" in told
    assert {one.proposal.cut for one in found.priced.values()} >= {0}


FOLDED = """\
  - {op: conv2d, pad: 1, activate: ReLU, processors: 0x7, data_format: HWC}
  - {op: conv2d, pad: 1, activate: ReLU}
  - {op: conv2d, pad: 1, activate: ReLU, max_pool: 4, pool_stride: 4}
  - {op: mlp, flatten: true, output_width: 32}
"""
SERIES = """\
  - {op: conv1d, kernel_size: 9, pad: 2, activate: ReLU, processors: 0x3f, data_format: HWC}
  - {op: conv1d, kernel_size: 9, pad: 2, activate: ReLU}
  - {op: conv1d, kernel_size: 3, pad: 1, activate: ReLU, max_pool: 8, pool_stride: 8}
  - {op: mlp, flatten: true, output_width: 32}
"""


@pytest.mark.parametrize(
    "layers, shape, shapes",
    [
        (FOLDED, "3x16x16", [(48, 3, 3, 3), (48, 48, 3, 3), (8, 48, 3, 3), (5, 128)]),
        (SERIES, "6x100x1", [(64, 6, 9), (64, 64, 9), (8, 64, 3), (5, 88)]),
    ],
    ids=["images of three channels", "series"],
)
def test_fronts_and_heads_read_inputs_of_any_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: str, shape: str, shapes: list[tuple[int, ...]]
) -> None:
    monkeypatch.setattr("offramp.training.proposing.FRONTS", 4)
    monkeypatch.setattr("offramp.training.heads.A_CUT", 1)
    path = write_training(tmp_path, SPEC.replace("2x12x12", shape))
    write_network(tmp_path, "main", layers, shapes)
    made = open_bench(load_train_spec(path, DEVICE), DEVICE)
    for found in (propose_fronts(made, IN_PROCESS), propose_heads(made, IN_PROCESS)):
        assert found.priced, found.left_out
        for one in found.priced.values():
            first, main = one.candidate.network.layers[0], made.main
            read = main.input_shape if one.proposal.cut is None else main.layers[one.proposal.cut].out_shape
            assert first.in_shape == read and one.candidate.network.layers[-1].out_shape.channels == 5
            if one.proposal.cut is None:  # as the input lies for main
                assert (first.processors, first.data_format) == (main.layers[0].processors, "HWC")
