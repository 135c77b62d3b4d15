"""Exits that the accelerator takes by itself: from the spec to firmware whose answers are those of the reference."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import Firmware
from offramp.codegen.lower import lower_together
from offramp.codegen.render import render
from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible, InputError
from offramp.host.files import write_tree
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.planning import Planned
from offramp.planner.plan import load_plan, plan_json
from offramp.planner.reference.confidence import to_real
from offramp.planner.reference.profile import Profile, exit_indices, profile
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import BY_CONFIDENCE, Status
from offramp.simulator.board.run import run
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from tests.helpers.plans import manual_spec, plan_of
from tests.helpers.specs import GATED, TINY, Family, SmallNetwork, write_spec

DEVICE = load_device("MAX78002")
DRAWN, IMAGES = 20_000, 1000
HALF = "hardware: {at_least: 0.5}"
HIT = {DEVICE.register_address(f"SNOOP{unit}_HIT") for unit in (1, 2)}


def text(first: str, second: str = "hardware: {at_least: 1}", extra: str = "device: MAX78002\n") -> str:
    stages = (
        f"stages:\n  - {{network: front, exit: {{{first}}}}}\n"
        f"  - {{network: main, until: first, head: head, exit: {{{second}}}}}\n  - {{network: main}}\n"
    )
    return TINY.spec(stages, front="", main="", head="") + extra


@dataclass(frozen=True)
class Example:
    """A plan with two hardware exits; images with the largest logits around both thresholds among them."""

    planned: Planned
    x: NDArray[np.int8]
    expected: Profile
    thresholds: tuple[int, int]


def neighbours(values: NDArray[np.int64]) -> int:
    """A value that occurs, as do the one before it and the one behind: that near the middle."""
    found = np.unique(values[values > 1])
    both = found[np.isin(found - 1, found) & np.isin(found + 1, found)]
    return int(both[np.abs(both - np.median(found)).argmin()])


@pytest.fixture(scope="module", params=["largest_logit", "gate"])
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """By some logit, or by a gate in front and head, whose last output is none of a class."""
    folder = tmp_path_factory.mktemp("example")
    family, key = (GATED, "gate: true, ") if request.param == "gate" else (TINY, "")
    some = f"hardware: {{{key}at_least: 1}}"
    chain = plan_of(write_spec(folder, text(some, some), family), DEVICE).chain
    drawn = np.random.default_rng(5).integers(-128, 128, (DRAWN, 4, 6, 6)).astype(np.int8)
    found = profile(chain, drawn)
    values = [one.astype(np.int64) for one in found.confidence]
    first = neighbours(values[0])
    passing = np.flatnonzero(values[0] < first)
    second = neighbours(values[1][passing])
    wanted = [np.flatnonzero(values[0] == first + step)[0] for step in (-1, 0, 1)]
    wanted += [passing[np.flatnonzero(values[1][passing] == second + step)[0]] for step in (-1, 0, 1)]
    x = drawn[[*wanted, *range(IMAGES - len(wanted))]]
    real = [
        to_real(stage.rule.measure, one, stage.rule.fraction_bits)
        for one, stage in zip((first, second), chain.exits, strict=False)
    ]
    exits = [f"hardware: {{{key}at_least: {one!r}}}" for one in real]
    planned = plan_of(write_spec(folder, text(*exits), family), DEVICE)
    assert [stage.rule.measure for stage in planned.chain.exits[:-1]] == [request.param] * 2
    assert [stage.rule.threshold for stage in planned.chain.exits[:-1]] == [first, second]
    return Example(planned, x, profile(planned.chain, x), (first, second))


@pytest.fixture(scope="module")
def firmware(example: Example) -> Firmware:
    return assemble(example.planned.lowered, "hardware")


@pytest.fixture(scope="module")
def elf(firmware: Firmware, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elf")
    write_tree(folder / "firmware", render(firmware, DEVICE))
    return compile_firmware(folder / "firmware", folder / "firmware.elf").elf


def test_answers_are_those_of_the_reference(example: Example, elf: Path) -> None:
    clock = Clock(DEVICE)
    got = run(elf, example.x, Accelerator(DEVICE, clock), DEVICE, clock=clock)
    assert got.failures() == ()
    stages = exit_indices(example.planned.chain, example.expected)
    assert {*stages[:3]} >= {0} and stages[1] == stages[2] == 0 != stages[0]  # T - 1, T, T + 1
    assert [*stages[3:6]] == [2, 1, 1]
    assert min(np.bincount(stages, minlength=3)) > IMAGES // 20
    assert got.stages.tolist() == stages.tolist()
    for index, stage in enumerate(stages.tolist()):
        assert got.classes[index] == example.expected.classes[stage][index]
        assert got.confidences[index] == example.expected.confidence[stage][index]
        assert got.values[index].tolist() == example.expected.results[stage][index].tolist()


def test_the_core_starts_the_accelerator_once(example: Example, firmware: Firmware) -> None:
    first, second, last = firmware.stages
    assert all(stage.advance == stage.restore == () for stage in firmware.stages)
    assert first.start and not second.start and not last.start
    assert {write.address for write in first.start if write.value == 0} == {
        address + quadrant * 0x1000000 for address in HIT for quadrant in firmware.quadrants
    }
    assert len(example.planned.lowered.programs) == 3
    assert example.planned.cycles.starts[1].cycles == example.planned.cycles.checks[0].cycles == 0


def test_what_the_hardware_decides_cannot_be_forced(elf: Path) -> None:
    clock = Clock(DEVICE)
    with Session(elf, Accelerator(DEVICE, clock), DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        assert session.force_stage(0, 2).status is Status.E_ARGUMENT
        assert session.force_stage(0, BY_CONFIDENCE).status is Status.OK
        assert session.set_threshold(0, 0, 7).status is Status.E_ARGUMENT
        session.close()


def left_at(planned: Planned, images: int, folder: Path) -> list[int]:
    """The stages that some images leave at: in the firmware, and by the reference, which has to say the same."""
    device = planned.device
    write_tree(folder / "firmware", render(assemble(planned.lowered, "exits"), device))
    elf = compile_firmware(folder / "firmware", folder / "firmware.elf").elf
    x = np.random.default_rng(6).integers(-128, 128, (images, 4, 6, 6)).astype(np.int8)
    clock = Clock(device)
    got = run(elf, x, Accelerator(device, clock), device, clock=clock)
    stages = exit_indices(planned.chain, profile(planned.chain, x)).tolist()
    assert got.stages.tolist() == [planned.chain.answering[stage] for stage in stages]
    return sorted(set(stages))


@pytest.mark.parametrize("hardware", [0, 1])
def test_the_core_may_decide_at_another_exit(hardware: int, tmp_path: Path) -> None:
    exits = ["confidence: margin, threshold: 0.3"] * 2
    exits[hardware] = "hardware: {at_least: 0.15}"
    planned = plan_of(write_spec(tmp_path, text(*exits), TINY), DEVICE)
    assert planned.chain.runs == (((0, 1), (2,)), ((0,), (1, 2)))[hardware]
    assert left_at(planned, 60, tmp_path) == [0, 1, 2]


FRONT = "  - {network: front, exit: {hardware: {at_least: 0.2}}}\n"
MARGIN = "  - {network: again, exit: {confidence: margin, threshold: 0.3}}\n"
HEAD = "  - {network: wide, until: 0, head: head, exit: {hardware: {at_least: 0.2}}}\n"
LAST = "  - {network: wide}\n"


@pytest.mark.parametrize(
    ("stages", "quadrants"),
    [
        (FRONT + MARGIN + LAST, [(0,), (0,), (0, 1)]),
        (FRONT + MARGIN + HEAD + LAST, [(0,), (0,), (0, 1), (0, 1)]),
    ],
    ids=["one run with an exit", "two"],
)
def test_a_later_run_may_have_more_quadrants(stages: str, quadrants: list[tuple[int, ...]], tmp_path: Path) -> None:
    """In these the unit of the first run has never been set."""
    wide_head = replace(TINY.networks["head"], weights=((3, 720),))
    wide_head = replace(wide_head, layers=wide_head.layers.replace("0xff", "0xfffff"))
    networks = {"front": TINY.networks["front"], "again": TINY.networks["front"], "wide": TINY.networks["wide"]}
    family = replace(TINY, networks={**networks, "head": wide_head} if HEAD in stages else networks)
    spec = family.spec(f"stages:\n{stages}", **dict.fromkeys(family.networks, "")) + "device: MAX78002\n"
    planned = plan_of(write_spec(tmp_path, spec, family), DEVICE)
    assert [program.quadrants for program in planned.lowered.programs] == quadrants
    assert left_at(planned, 60, tmp_path) == [*range(len(quadrants))]


class Deaf(Accelerator):
    """An accelerator whose first unit has always counted something."""

    def read(self, address: int) -> int:
        return 1 if address == DEVICE.register_address("SNOOP1_HIT") else super().read(address)


def test_a_run_that_ended_where_no_logit_is_large_is_an_error(example: Example, elf: Path) -> None:
    clock = Clock(DEVICE)
    got = run(elf, example.x[:1], Deaf(DEVICE, clock), DEVICE, clock=clock)
    assert got.statuses == (Status.E_MEMORY,)


def test_a_plan_is_read_back(example: Example) -> None:
    path = Path(example.planned.plan.spec.where.file).parent / "plan.json"
    path.write_text(plan_json(example.planned.plan, path.parent))
    again = load_plan(path, DEVICE)
    assert again.placed.placement == example.planned.plan.placed.placement
    assert [stage.exit for stage in again.chain.exits] == [stage.exit for stage in example.planned.chain.exits]


def test_thresholds_are_calibrated(tmp_path: Path) -> None:
    calibrate = "calibrate: {data: calibration, accuracy_drop: 20}\ndevice: MAX78002\n"
    planned = plan_of(write_spec(tmp_path, text("hardware: {}", "hardware: {}", calibrate), TINY), DEVICE)
    chosen = [stage.rule.threshold for stage in planned.chain.exits[:-1]]
    assert all(one is not None and one > 0 for one in chosen)
    program = planned.lowered.programs[0]
    units = {key.name: value for key, value in program.settings.items() if key.quadrant == 0 and key.layer < 0}
    assert [min(one or 0, (1 << 31) - 1) for one in chosen] == [units[f"SNOOP{unit}_D1"]["data"] for unit in (1, 2)]


def test_there_are_two_hardware_exits_at_most(tmp_path: Path) -> None:
    family = replace(TINY, networks={**TINY.networks, "again": TINY.networks["front"]})
    lines = [f"{{network: {name}, exit: {{hardware: {{at_least: 1}}}}}}" for name in ("front", "again")]
    lines += ["{network: main, until: first, head: head, exit: {hardware: {at_least: 1}}}", "{network: main}"]
    stages = "stages:\n" + "".join(f"  - {line}\n" for line in lines)
    spec = family.spec(stages, front="", again="", main="", head="") + "device: MAX78002\n"
    with pytest.raises(InputError) as caught:
        plan_of(write_spec(tmp_path, spec, family), DEVICE)
    assert "spec.yaml:12: 3 hardware exits; there are 2 snoop units" in str(caught.value)


@pytest.mark.parametrize(
    ("processors", "found", "cure"),
    [
        ("0xfffff", "[0, 1]", "which has room for 16; a gate would be one word"),
        ("0xff0ff00ff0", "[0, 1, 2]", "which has room for 16"),
        ("0x1c000", "[0, 1]", "as `output_processors` can say"),
    ],
)
def test_logits_of_several_quadrants_are_refused(processors: str, found: str, cure: str, tmp_path: Path) -> None:
    classes = int(processors, 16).bit_count()
    networks = {name: TINY.networks[name] for name in ("front", "main")}
    for name, network in networks.items():
        weights = (*network.weights[:-1], (classes, network.weights[-1][1]))
        networks[name] = replace(network, weights=weights)
    layers = networks["front"].layers.replace("flatten: true", f"flatten: true, output_processors: {processors}")
    networks["front"] = replace(networks["front"], layers=layers)
    family = replace(TINY, networks=networks, classes=classes)
    stages = "stages:\n  - {network: front, exit: {hardware: {at_least: 1}}}\n  - {network: main}\n"
    path = write_spec(tmp_path, family.spec(stages, front="", main="") + "device: MAX78002\n", family)
    with pytest.raises(InputError) as caught:
        plan_of(path, DEVICE)
    expected = f"layer `guess`: logits of stage `front` lie in quadrants {found}; a hardware exit sees those of one"
    assert f"{expected}, {cure}" in str(caught.value)


def test_a_guarantee_lets_nobody_leave_without_a_positive_logit(tmp_path: Path) -> None:
    """As long as losses are allowed thresholds fall: not below that of the images that cannot leave."""
    calibrate = "calibrate: {data: calibration, accuracy_drop: 30, risk: {delta: 0.2}}\n"
    stages = "stages:\n  - {network: front, exit: {hardware: {}}}\n  - {network: main}\n"
    spec = TINY.spec(calibrate + stages, front="", main="") + "device: MAX78002\n"
    planned = plan_of(write_spec(tmp_path, spec, TINY), DEVICE)
    assert planned.judged is not None and planned.plan.calibration is not None
    threshold = planned.chain.exits[0].rule.threshold
    assert threshold is not None and threshold > 0
    assert planned.plan.calibration.shares[0] < 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            text("hardware: {at_least: 1}", extra=""),
            "spec.yaml:9: `hardware`: the MAX78000 (the default; `device` names another) has no snoop",
        ),
        (text("hardware: {at_least: 1}, confidence: margin"), "spec.yaml:9: `confidence`: an exit with `hardware` has"),
        (text("hardware: {}"), "spec.yaml:9: `at_least` is missing"),
        (text("hardware: {at_least: 0}"), "spec.yaml:9: `at_least: 0` is 0 in units of the logits"),
        (text("hardware: {at_most: 1}"), "spec.yaml:9: unknown key `at_most`"),
        (text("threshold: 1"), "spec.yaml:9: `confidence` is missing"),
        (
            text("hardware: {at_least: 1}").replace("{network: front,", "{network: front, answers: {0: a},")
            + "answers: [a, b, c]\n",
            "mean no answer",
        ),
        (text("hardware: {at_least: 1}") + "reload: allowed\n", "takes the core"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path: Path, spec: str, message: str) -> None:
    path = write_spec(tmp_path, spec, TINY)
    device = load_device("MAX78000") if "MAX78000" in message else DEVICE
    with pytest.raises(InputError) as caught:
        manual_spec(path, device)
        plan_of(path, device)
    assert message in str(caught.value)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_run_has_slots_one_behind_the_other_whatever_else_is_in_the_image(
    order: tuple[int, int], tmp_path: Path
) -> None:
    """Of eight slots the plain model takes four, the run with an exit seven."""
    device = replace(DEVICE, geometry=replace(DEVICE.geometry, layers=8))
    exits = "  - {network: front, exit: {hardware: {at_least: 0.3}}}\n"
    specs = [("plain", "", {"main": ""}), ("decided", exits, {"front": "", "main": ""})]
    placed = []
    for name, stages, networks in specs:
        (tmp_path / name).mkdir()
        spec = TINY.spec(f"stages:\n{stages}  - network: main\n", **networks) + "device: MAX78002\n"
        placed.append(plan_of(write_spec(tmp_path / name, spec, TINY), device).plan.placed)
    lowered = dict(zip(order, lower_together([placed[one] for one in order]), strict=True))
    assert [program.positions[-1] + 1 - program.positions[0] for program in lowered[0].programs] == [4]
    front, main = lowered[1].programs
    assert main.positions == tuple(range(front.positions[-1] + 1, front.positions[-1] + 5))


def test_an_exit_that_could_not_be_read_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(write_spec(tmp_path, text("hardware: null"), TINY), DEVICE)
    assert [one.message for one in caught.value.problems] == [
        "`hardware: None`; a mapping with optionally `at_least`, `gate` is expected"
    ]


def test_an_input_that_leaves_no_word_to_leave_by(tmp_path: Path) -> None:
    """It fills the instance of the first processors, and the slot that a run ends with needs a word there."""
    layers = """\
  - {name: small, op: conv2d, processors: 0xf, output_processors: 0xf0, pad: 1, max_pool: 16, pool_stride: 16,
     activate: ReLU, data_format: HWC}
  - {name: guess, op: mlp, processors: 0xf0, flatten: true, output_processors: 0x700, output_width: 32}
"""
    network = SmallNetwork(layers, ((4, 4, 3, 3), (3, 4 * 8 * 10)))
    family = Family("full", (4, 128, 160), 3, 3, {"front": network, "main": network})
    stages = "stages:\n  - {network: front, exit: {hardware: {at_least: 0.3}}}\n  - {network: main}\n"
    spec = family.spec(stages, front="offsets: free", main="offsets: free") + "device: MAX78002\n"
    hint = "it would fit with exits of the core (`confidence`) in place of the hardware exits: `front`"
    with pytest.raises(Infeasible, match=re.escape(hint)):
        plan_of(write_spec(tmp_path, spec, family), DEVICE)


@pytest.mark.parametrize(
    ("layers", "runs"),
    [(8, ((0, 1, 2),)), (7, ((0, 1, 2), (3,))), (4, ((0, 1), (2, 3), (4,))), (3, ((0,), (1, 2), (3, 4), (5,)))],
)
def test_stages_that_run_together_are_cut_where_there_are_not_slots_for_all(
    layers: int, runs: tuple[tuple[int, ...], ...], tmp_path: Path
) -> None:
    device = replace(DEVICE, geometry=replace(DEVICE.geometry, layers=layers))
    planned = plan_of(write_spec(tmp_path, text("hardware: {at_least: 0.3}", HALF), TINY), device)
    assert planned.chain.runs == runs
    assert all(len(program.positions) <= layers for program in planned.lowered.programs)
    assert left_at(planned, 60, tmp_path) == [0, 1, 2]


def test_stages_that_cannot_be_cut_so_are_refused(tmp_path: Path) -> None:
    """A run with an exit takes three slots at least: two layers, and the slot to leave by."""
    device = replace(DEVICE, geometry=replace(DEVICE.geometry, layers=2))
    found = "stages front, main-first, main run together, with hardware exits between them: they take 5 layer slots"
    with pytest.raises(InputError, match=f"front.yaml:4: {found} and one to leave by; there are 2"):
        plan_of(write_spec(tmp_path, text("hardware: {at_least: 0.3}"), TINY), device)
