"""Several models that do not fit together: what others overwrite is written again, and answers stay what they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from offramp import api
from offramp.cli import main
from offramp.codegen.lower import lower_together
from offramp.configs.device import load_device
from offramp.configs.errors import Infeasible, InputError
from offramp.corpus.cuts import junk_memories, registers
from offramp.corpus.direct import ModelRunner, run_all
from offramp.pipeline.emulate import MeteredBus
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.reload_together import Demand
from offramp.planner.allocation.together import place_together
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.chain.together import columns_of
from offramp.planner.ir.chain import Chain, whole
from offramp.planner.ir.network import Network
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import exit_indices, profile
from offramp.planner.rules.check import check_network
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Status
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator
from tests.helpers.devices import with_columns
from tests.helpers.large import write_large
from tests.helpers.models import write_big, write_model
from tests.helpers.random_networks import networks
from tests.helpers.rolling import HEAVY, HEAVY_REACHED, REACHED, TCN
from tests.helpers.searches import SETTINGS

DEVICE = load_device()
IMAGES = 12
Answers = list[tuple[int, list[int]]]


def allow(spec: Path, keys: str = "reload: allowed\n") -> Path:
    spec.write_text(spec.read_text(encoding="utf-8").replace("stages:", f"{keys}stages:"), encoding="utf-8")
    return spec


def write_models(folder: Path) -> list[Path]:
    """A network of 1.6 times the memory with an early exit, one that takes more than half of it, and one with a rolling
    buffer, which is always resident."""
    (folder / "large").mkdir()
    large = write_large(folder / "large", "asked: 3\nreload: allowed\n", threshold=0.22)
    return [large, allow(write_big(folder, "big", 1)), write_model(folder, "tcn", REACHED, TCN)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> api.BuiltImage:
    """A build; not to be changed."""
    folder = tmp_path_factory.mktemp("models")
    return api.build_image(write_models(folder), folder / "out", images=IMAGES)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_models_answer_in_turn(built: api.BuiltImage) -> None:
    """With as many words as planned, which the build counts."""
    report = read(built.folder / "report.json")
    assert [one["verified"]["answers"] for one in report["models"]] == [IMAGES, 2, IMAGES]
    assert (report["verified"]["mismatches"], report["verified_switches"]) == (0, 25)
    reload = report["reload"]
    assert 0 < reload["words"] == reload["bound"] < reload["everything"]
    assert {name.split(":")[0] for kind in ("weights", "entry_weights") for name in reload[kind]} == {"large", "big"}
    assert [one["reload"] for one in report["models"]] == [None, None, None]


def test_the_report_counts_words_at_every_switch(built: api.BuiltImage) -> None:
    """In the mean of independent inferences, three of five of which are of the first model, and in the worst one."""
    report = read(built.folder / "report.json")
    reload, entries = report["reload"], {one["model"]: one["weight_words"] for one in report["entries"]}
    again = {one["name"]: sum(step["weight_words"] for step in one["switches"]) for one in report["models"]}
    assert reload["words"] == pytest.approx((3 * again["large"] + again["big"] + again["tcn"]) / 5 + _entered(entries))
    assert reload["worst"] == max(again[name] + words for name, words in entries.items())
    assert entries["tcn"] == again["tcn"] == again["big"] == 0


def _entered(entries: dict[str, int]) -> float:
    """Words for changes of models: a model is asked, and was not before."""
    return entries["large"] * 3 / 5 * 2 / 5 + (entries["big"] + entries["tcn"]) * 1 / 5 * 4 / 5


@pytest.mark.slow
def test_back_and_forth_over_noise(built: api.BuiltImage) -> None:
    """In an order without a pattern. A model that is asked again writes nothing for its first stage; the self test
    knows what is there; the rolling buffer keeps what it holds."""
    data = [np.load(Path(made.plan.spec.where.file).parent / "test.npz")["x"] for made in built.planned.models]
    expected = [answers(made.chain, x) for made, x in zip(built.planned.models, data, strict=True)]
    order = np.random.default_rng(5).integers(0, 3, 18).tolist()
    clock = Clock(DEVICE)
    accelerator = LenientAccelerator(DEVICE, clock, seed=1)
    bus = MeteredBus(accelerator, DEVICE)
    asked = [0, 0, 0]
    with Session(built.folder / "firmware.elf", bus, DEVICE, clock=clock) as session:
        assert session.open().status is Status.OK
        for number, model in enumerate(order):
            image, before = asked[model] % len(data[model]), bus.writes["weights"]
            assert infer(session, model, data[model][image]) == expected[model][image]
            again = number > 0 and order[number - 1] == model
            if again and expected[model][image][0] == 0:
                assert bus.writes["weights"] == before
            asked[model] += 1
            if number == 11:
                assert session.self_test().status is Status.OK
        session.close()
    assert min(asked) >= 4 and order[11] == 1 and accelerator.refused == []


def infer(session: Session, model: int, x: npt.NDArray[np.int8]) -> tuple[int, list[int]]:
    answer = session.infer(model, x.tobytes())
    assert answer.status is Status.OK
    shape = session.shape(0, model, answer.result.stage).result
    values = shape.channels * shape.rows * shape.columns
    return answer.result.stage, session.output_words(values).result.tolist()


def answers(chain: Chain, x: npt.NDArray[np.int8]) -> Answers:
    """Of each image the run after which it leaves, and the values there."""
    found = profile(chain, x)
    stages = exit_indices(chain, found).tolist()
    return [(chain.answering[stage], found.results[stage][image].tolist()) for image, stage in enumerate(stages)]


def test_the_plan_is_read_back(built: api.BuiltImage) -> None:
    again = api.load_image(built.folder)
    for one, other in zip(again.models, built.planned.models, strict=True):
        assert one.plan.placed.reload == other.plan.placed.reload
        assert one.lowered.programs == other.lowered.programs


@pytest.mark.parametrize("change", ["resident", "both"])
def test_a_damaged_choice_is_found(change: str, built: api.BuiltImage, capsys: pytest.CaptureFixture[str]) -> None:
    content = read(built.folder / "plan.json")
    kept = content["models"][0]["placement"]["reload"]
    kept["entry_weights"] = {"resident": [], "both": [*kept["entry_weights"], *kept["weights"]]}[change]
    kept["weights"] = {"resident": [], "both": kept["weights"]}[change]
    path = built.folder / "changed.json"
    path.write_text(json.dumps(content))
    try:
        assert main(["cost", str(path)]) in (1, 2)
    finally:
        path.unlink()
    wanted = "weights_disjoint" if change == "resident" else "`placement.reload`: what is written when a model"
    assert wanted in capsys.readouterr().err


@pytest.mark.slow
def test_the_probe_writes_what_is_not_there(built: api.BuiltImage) -> None:
    """Every layer of every model, also where its weights were overwritten."""
    assert main(["probe", str(built.folder), "-q"]) == 0


def test_the_terminal_says_what_is_written_and_when(built: api.BuiltImage, capsys: pytest.CaptureFixture[str]) -> None:
    specs = [made.plan.spec.where.file for made in built.planned.models]
    assert main(["plan", *map(str, specs)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "written when its model runs after another one: weights of " in printed
    assert "words in the mean inference (the fewest possible)" in printed
    assert "everything resident" not in printed


def test_how_often_a_model_is_asked_decides_who_waits(tmp_path: Path) -> None:
    """Two equal ones, of which one is asked more often, and one of which has to be overwritten."""
    specs = [write_big(tmp_path, name, seed) for seed, name in enumerate(("one", "two"))]
    for number, spec in enumerate(specs):
        allow(spec, f"asked: {1 + 3 * number}\nreload: allowed\n")
    image = api.plan_image(specs)
    reload = [made.plan.placed.reload for made in image.models]
    assert all(one and one.entry_weights == ("main/0",) and not one.weights for one in reload)
    words = 64 * 448 * 9 // 4
    assert reload[0] and reload[0].words / reload[0].inferences == 2 * words * 1 / 5 * 4 / 5


def test_what_has_to_stay_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only models that allow it are written again; where that is not enough, what it would take is told."""
    one, two = write_big(tmp_path, "one", 1), allow(write_big(tmp_path, "two", 2))
    assert main(["plan", str(one), str(two)]) == 3
    error = " ".join(capsys.readouterr().err.split())
    assert "they need 896 of 768 kernel columns" in error
    price = 2 * 64 * 448 * 9 // 4 // 4
    wanted = f"they would fit with `reload: allowed` in their specs: {price:,} words more in the mean inference"
    assert wanted in error


def test_reached_shares_of_all_models_count(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    keys = "reload: allowed\ncalibrate: {data: calibration, accuracy_drop: 5}\n"
    specs = [write_large(tmp_path / "large", keys, threshold=None), allow(write_big(tmp_path, "big", 1))]
    large, big = api.plan_image(specs).models
    reload, calibration = large.plan.placed.reload, large.plan.calibration
    assert reload and calibration and big.plan.placed.reload
    assert 0 < calibration.shares[0] < 1
    assert reload.words == reload.bound and reload.inferences % 4 == 0


@pytest.mark.slow
@pytest.mark.parametrize("beside", [False, True])
def test_a_rolling_buffer_outlives_reloads(beside: bool, tmp_path: Path) -> None:
    """Of a network whose layers behind it do not fit; alone, and beside another model that overwrites its weights."""
    specs: Sequence[Path] = [write_model(tmp_path, "heavy", HEAVY_REACHED, HEAVY)]
    if beside:
        specs = [*specs, allow(write_big(tmp_path, "big", 1))]
    built = api.build_image(specs, tmp_path / "out", images=40)
    report = built.report
    heavy = built.planned.models[0]
    reload = heavy.plan.placed.reload
    assert heavy.chain.buffers and reload and (reload.weights or reload.entry_weights)
    assert report.models[0].verified and (report.models[0].verified.answers, report.models[0].verified.mismatches) == (
        40,
        0,
    )
    x = np.load(specs[0].parent / "test.npz")["x"][:40]
    alone = np.concatenate([profile(heavy.chain, one[None]).results[1] for one in x])
    assert (profile(heavy.chain, x).results[1] != alone).any()


@pytest.mark.slow
@settings(SETTINGS)
@given(st.lists(networks(), min_size=2, max_size=3), st.floats(0.5, 0.95), st.booleans(), st.data())
def test_random_models_with_little_memory(found: list[Network], share: float, twice: bool, data: st.DataObject) -> None:
    """In any order, registers and memories junk before; with the first network in two models, whose kernels are the
    same."""
    asked = data.draw(st.lists(st.integers(1, 5), min_size=4, max_size=4), "asked")
    placed = placed_or_dropped([*found, found[0]] if twice else found, share, asked)
    device = placed[0].requirements.device
    event("nothing is written again" if not any(one.reload for one in placed) else "something is")
    accelerator, rng = Accelerator(device), np.random.default_rng(0)
    lowered = lower_together(placed)
    machines = [ModelRunner(one.placed, accelerator, one) for one in lowered]
    junk_memories(machines[0], rng)
    for machine in machines:
        machine.load()
    machines[0].write(registers(device).junk(rng))
    order = data.draw(st.lists(st.integers(0, len(machines) - 1), min_size=4, max_size=10), "order")
    for before, number in pairwise([-1, *order]):
        machine = machines[number]
        machine.stage = machine.stage if before == number else None  # as the runtime does
        (network,) = machine.placed.requirements.chain.networks.values()
        shape = network.input_shape
        x = rng.integers(-128, 128, (shape.channels, shape.rows, shape.cols)).astype(np.int8)
        expected = run_network(network, x[None])[len(network.layers) - 1][0]
        assert np.array_equal(run_all(machine, [x])[0], expected)


def placed_or_dropped(chosen: list[Network], share: float, asked: list[int]) -> list[Placed]:
    """On a device with a share of the columns that the models take in the processor that has most of them."""
    try:
        completed = [complete(network, DEVICE, no_columns_occupied(DEVICE)) for network in chosen]
        chains = {f"model{index}": whole("net", network) for index, network in enumerate(completed)}
        device = with_columns(4 * ceil(share * max(1, columns_of(chains, DEVICE).max()) / 4))
        assume(not any(check_network(network, device) for network in completed))
        demands = {name: Demand((1,), often) for name, often in zip(chains, asked, strict=False)}
        return list(place_together(chains, device, demands=demands).models.values())
    except (InputError, Infeasible):
        assume(False)
        raise
