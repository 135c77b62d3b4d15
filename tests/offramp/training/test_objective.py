"""What a candidate is worth: the cost of the chain with the thresholds and the test that the planner has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.configs.device import load_device
from offramp.pipeline.choosing import Setting, built_chain
from offramp.planner.exits.choose import choose
from offramp.planner.ir.network import Shape
from offramp.planner.tasks.executor import IN_PROCESS
from offramp.training.candidates import Bench, Priced, Proposal, loaded, open_bench, priced
from offramp.training.design import Design, LayerDesign
from offramp.training.objective import Judge, judged_goal, profile_of, worth
from offramp.training.spec import load_train_spec
from tests.helpers import specs
from tests.helpers.specs import write_network

DEVICE = load_device()
SPEC = """\
train: 1
main: {network: main.yaml, checkpoint: main.pth.tar, input: 4x6x6}
data: {training: test.npz, calibration: calibration.npz}
choose: {accuracy_drop: 1, minimise: MINIMISE, risk: {delta: 0.05}}
"""
FRONT = Design(
    "front",
    Shape(4, 6, 6),
    (LayerDesign("conv2d", 4, 3, pad=1, pool=2, pool_stride=2), LayerDesign("linear", 3, relu=False, wide=True)),
)
HEAD = Design("head", Shape(8, 6, 6), (LayerDesign("linear", 3, relu=False, wide=True),))
IMAGES = 3_000


def bench(folder: Path, minimise: str = "cycles") -> Bench:
    specs.write_files(folder)
    (folder / "train.yaml").write_text(SPEC.replace("MINIMISE", minimise))
    return open_bench(load_train_spec(folder / "train.yaml", DEVICE), DEVICE)


def answers(seed: int, right: float) -> npt.NDArray[np.int64]:
    """Answers to IMAGES questions whose right answer is 0."""
    return (np.random.default_rng(seed).random(IMAGES) > right).astype(np.int64)


def logits(own: npt.NDArray[np.int64], sure: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Logits with these answers and margins."""
    found = np.zeros((IMAGES, 3), np.int32)
    found[np.arange(IMAGES), own] = sure
    return found


def test_the_worth_is_what_the_planner_chooses(tmp_path: Path) -> None:
    made = bench(tmp_path, "{cycles: 1, energy: 3}")
    one = priced(made, [Proposal("front", FRONT)], IN_PROCESS)[0]
    assert isinstance(one, Priced)
    own = answers(1, 0.97)
    sure = np.where(own == 0, 5_000, 100) + np.arange(IMAGES) % 50
    judge = Judge(made.spec.choice, made.alone, np.zeros(IMAGES, np.int64), answers(2, 0.99))
    found = worth(judge, one, logits(own, sure))
    profile = profile_of(one.candidate, logits(own, sure), judge.truth)
    full = judge.answers == judge.truth
    choice = choose(judge.goal, [profile], full, [made.alone, replace(one.cost, early=(0,))])
    assert choice.guarantee and choice.chosen.stages == ("front", "main")
    assert (found.cycles, found.energy_uj) == (choice.chosen.means["cycles"], choice.chosen.means["energy"])
    alone = {"cycles": made.alone.cost_by_exit["cycles"][0], "energy": made.alone.cost_by_exit["energy"][0] / 1e6}
    assert found.value == pytest.approx(found.cycles / alone["cycles"] / 4 + found.energy_uj / alone["energy"] * 3 / 4)
    assert found.own == float((own == 0).mean()) and found.share == 1 - choice.chosen.exit_counts[-1] / IMAGES


def test_a_candidate_that_nothing_may_leave_at_ranks_by_agreement(tmp_path: Path) -> None:
    made = bench(tmp_path)
    one = priced(made, [Proposal("front", FRONT)], IN_PROCESS)[0]
    assert isinstance(one, Priced)
    judge = Judge(made.spec.choice, made.alone, np.zeros(IMAGES, np.int64), np.zeros(IMAGES, np.int64))
    sure = np.full(IMAGES, 1_000)  # no threshold tells the images apart
    bad, worse = (worth(judge, one, logits(answers(3, right), sure)) for right in (0.6, 0.5))
    assert (bad.value, bad.share) == (worse.value, worse.share) == (1.0, 0.0)
    assert bad.rank < worse.rank
    assert worth(judge, one, logits(answers(3, 0.9999), sure)).rank < bad.rank


def test_a_budget_that_nothing_keeps_to_is_the_worst(tmp_path: Path) -> None:
    made = bench(tmp_path)
    one = priced(made, [Proposal("front", FRONT)], IN_PROCESS)[0]
    assert isinstance(one, Priced)
    truth = np.zeros(IMAGES, np.int64)
    for amount, reached in ((1.0, False), (1e9, True)):
        goal = replace(made.spec.choice, budget=("cycles", amount), accuracy_drop=None, delta=None)
        found = worth(Judge(goal, made.alone, truth, truth), one, logits(truth, np.full(IMAGES, 9)))
        assert (found.value < 1) == reached


def test_risk_is_left_out_where_the_images_cannot_show_it(tmp_path: Path) -> None:
    goal = bench(tmp_path).spec.choice
    assert judged_goal(goal, 299).delta == 0.05  # docs/CHOOSING.md: 299 images for 1 point and delta 0.05
    assert judged_goal(goal, 298) == replace(goal, delta=None)


def test_costs_are_those_of_the_chain_that_is_built(tmp_path: Path) -> None:
    made = bench(tmp_path)
    proposals = [Proposal("front", FRONT), Proposal("head", HEAD, 0)]
    found = priced(made, proposals, IN_PROCESS)
    together, sources = loaded(made, proposals, {})
    for number, one in enumerate(found):
        assert isinstance(one, Priced)
        built = built_chain(Setting(together, sources, DEVICE), (number,))
        assert one.cost.cost_by_exit == built.cost.cost_by_exit and one.cost.more == built.cost.more


def test_weights_get_the_most_bits_that_fit(tmp_path: Path) -> None:
    """Main takes 640 of the 768 columns of each processor; the front takes 192 of 8 bits."""
    made = bench(tmp_path)
    every = f"{(1 << 64) - 1:#x}"
    layers = f"  - {{op: conv2d, activate: ReLU, processors: 0xf, output_processors: {every}, data_format: HWC}}\n"
    layers += f"  - {{op: conv2d, activate: ReLU, processors: {every}, output_processors: {every}}}\n" * 9
    layers += f"  - {{op: conv2d, activate: ReLU, max_pool: 2, pool_stride: 2, processors: {every}}}\n"
    layers += "  - {op: mlp, flatten: true, output_width: 32, processors: 0xf}\n"
    write_network(tmp_path, "main", layers, [(64, 4, 3, 3), *[(64, 64, 3, 3)] * 9, (4, 64, 3, 3), (3, 36)])
    made = open_bench(made.spec, DEVICE)
    deep = [LayerDesign("conv2d", 64, 3, pad=1)] * 3
    wide = replace(FRONT, layers=(FRONT.layers[0], *deep, FRONT.layers[1]))
    one = priced(made, [Proposal("front", wide)], IN_PROCESS)[0]
    assert isinstance(one, Priced)
    assert {layer.bits for layer in one.proposal.design.layers} == {4}
