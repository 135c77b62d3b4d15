"""Networks with FIFO input, from the spec to firmware that answers as the integer reference and the vendor do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import BusWrite, Firmware, InputRun
from offramp.codegen.render import render
from offramp.configs.errors import CheckFailed, InputError
from offramp.corpus.case import load_case
from offramp.corpus.direct import ModelRunner, run_all
from offramp.pipeline.planning import Planned
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import cut, whole
from offramp.planner.ir.network import Shape
from offramp.planner.reference.confidence import to_real
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import profile
from offramp.planner.rules.check import check_network
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import Status
from offramp.simulator.board.run import run
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import build
from tests.helpers.networks import make_layer, make_network
from tests.helpers.plans import chain_of
from tests.helpers.plans import plan_of as planned_of
from tests.helpers.small_firmware import DEVICE, MOST_CYCLES, small_firmware, small_model
from tests.helpers.specs import STAGED, write_spec

FIFO = "fifo: true"
STATUS = DEVICE.register_address("FIFO_STAT")
PORTS = [DEVICE.register_address(f"FIFO_DATA{port}") for port in range(2)]
FULL = [DEVICE.registers["FIFO_STAT"].encode({"full": 1 << port}) for port in range(2)]

ALONE = "  - {network: streaming}"
# Stages, and the networks' options
CHAINS = {
    "alone": (ALONE, {"streaming": FIFO}),
    "twice": (
        f"  - {{network: front, exit: {{confidence: margin, threshold: 0}}}}\n{ALONE}",
        {"front": FIFO, "streaming": FIFO},
    ),
    "reversed": (
        "  - {network: streaming, exit: {confidence: entropy, threshold: 0}}\n  - {network: front}",
        {"streaming": FIFO, "front": FIFO},
    ),
    "branch": (
        "  - {network: streaming, name: early, until: 1, head: head,\n"
        f"     exit: {{confidence: max_probability, threshold: 0}}}}\n{ALONE}",
        {"streaming": FIFO, "head": ""},
    ),
}


def write_fifo_spec(folder: Path, stages: str, options: dict[str, str]) -> Path:
    return write_spec(folder, STAGED.spec(f"stages:\n{stages}\n", **options), STAGED)


def plan_of(folder: Path, chain: str) -> Planned:
    stages, options = CHAINS[chain]
    return planned_of(write_fifo_spec(folder, stages, options))


def set_median_threshold(folder: Path, plan: Planned) -> None:
    """Change the spec so that about half of the images leave at the first stage."""
    rule = plan.chain.exits[0].exit
    assert rule
    confidence = profile(plan.chain, np.load(folder / "test.npz")["x"]).confidence[0]
    value = to_real(rule.measure, int(np.median(confidence)), rule.fraction_bits)
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("threshold: 0", f"threshold: {value}"))


@pytest.mark.parametrize("chain", CHAINS)
def test_firmware_answers_as_the_reference(chain: str, tmp_path: Path) -> None:
    """One stage; two networks that get the same frame in turn; a branch whose second stage goes on from memory."""
    plan = plan_of(tmp_path, chain)
    set_median_threshold(tmp_path, plan)
    out = tmp_path / "out"
    assert main(["build", str(tmp_path / "spec.yaml"), "-o", str(out), "--images", "all"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (STAGED.images, 0)
    share = report["stages"][0]["share"]
    assert share == 1 if chain == "alone" else 0.25 <= share <= 0.75
    rule = plan.chain.exits[0].exit
    assert rule and report["stages"][-1]["confidence"] == rule.measure
    assert main(["run", str(out), "--images", "2"]) == 0


def test_which_stages_read_the_fifo(tmp_path: Path) -> None:
    reading = {}
    for chain in CHAINS:
        (tmp_path / chain).mkdir()
        firmware = assemble(plan_of(tmp_path / chain, chain).lowered, chain)
        reading[chain] = [stage.reads_fifo for stage in firmware.stages]
        assert [(one.address, one.step, one.full) for one in firmware.models[0].input.runs] == [
            (PORTS[0], 0, FULL[0]),
            (PORTS[1], 0, FULL[1]),
        ]
        assert [one.channels for one in firmware.models[0].input.runs] == [(0, 1, 2, 3), (4, 5, -1, -1)]
    assert reading == {"alone": [True], "twice": [True] * 2, "reversed": [True] * 2, "branch": [True, False]}


def test_the_input_is_loaded_for_each_stage_that_reads_it(tmp_path: Path) -> None:
    """`front` keeps it as a whole, so nothing overlaps; `streaming` takes it while its first layers run."""
    loads = plan_of(tmp_path, "twice").cycles.loads
    words = 2 * STAGED.shape[1] * STAGED.shape[2]
    waiting = DEVICE.costs["fifo_wait_ns"] * words * DEVICE.clocks["cnn_hz"] // 10**9
    assert loads[0].cycles >= waiting and 0 <= loads[1].cycles < loads[0].cycles
    (tmp_path / "branch").mkdir()
    assert plan_of(tmp_path / "branch", "branch").cycles.loads[1].cycles == 0


def test_a_stage_from_memory_has_no_stream_registers(tmp_path: Path) -> None:
    programs = plan_of(tmp_path, "branch").lowered.programs
    starts = [
        {key.layer for key, word in one.encode(DEVICE).items() if key.name == "STRM0" and word} for one in programs
    ]
    assert starts == [{0, 1}, set()]


@pytest.mark.parametrize("order", ["twice", "reversed"])
def test_both_readers_find_the_input(order: str, tmp_path: Path) -> None:
    """The planner puts it where the ports feed it, and leaves room for the reader that takes it as a whole."""
    plan = plan_of(tmp_path, order)
    assert {slot.layer.processors for slot in plan.chain.slots if "input" in slot.reads} == {0x3000F}
    assert plan.plan.placed.requirements.tensors["input"].words == STAGED.shape[1] * STAGED.shape[2]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("data_format", ["HWC", "CHW"])
@pytest.mark.parametrize(("pool", "stride"), [((1, 1), 1), ((2, 2), 2), ((3, 2), 1)])
def test_first_layers(streaming: bool, data_format: str, pool: tuple[int, int], stride: int) -> None:
    rng = np.random.default_rng(4)
    shape = Shape(3, 11, 9)
    first = make_layer(
        shape, 8, rng, streaming=streaming, data_format=data_format, pool=pool, pool_stride=stride, output_shift=-3
    )
    network = make_network(first, make_layer(first.out_shape, 5, rng, output_width=32), fifo=True)
    network = complete(network, DEVICE, no_columns_occupied(DEVICE))
    assert not check_network(network, DEVICE)
    x = rng.integers(-128, 128, (2, 3, 11, 9)).astype(np.int8)
    machine = ModelRunner(place(whole("main", network), DEVICE))
    machine.load()
    assert np.array_equal(run_all(machine, list(x)), run_network(network, x)[1])


@pytest.mark.parametrize(
    ("stages", "options", "message"),
    [
        (
            CHAINS["twice"][0],
            {"front": "fifo: false", "streaming": FIFO},
            r"spec.yaml:5: `streaming` takes the input from the FIFO, `front` from data memory; all .* same `fifo`",
        ),
        (
            "  - {network: streaming, exit: {confidence: margin, threshold: 0}}\n  - {network: front}",
            {"front": "", "streaming": FIFO},
            r"spec.yaml:4: `streaming` takes the input from the FIFO, `front` from data memory",
        ),
        (CHAINS["branch"][0], {"streaming": FIFO, "head": FIFO}, r"spec.yaml:5: `head` is a head; .* `fifo: true`"),
        (
            CHAINS["branch"][0],
            {"streaming": FIFO, "head": "avg_pool_rounding: true"},
            r"spec.yaml:5: head `head` and the network it runs with need the same `avg_pool_rounding`",
        ),
        (ALONE, {"streaming": "fifo: 1"}, r"spec.yaml:4: `fifo: 1`; true or false is expected"),
        (
            ALONE,
            {"streaming": f"{FIFO}, avg_pool_rounding: yes please"},
            r"`avg_pool_rounding: yes please`; true or false is expected",
        ),
        (
            f"{ALONE}\ncalibrate: {{data: test, accuracy_drop: 1}}",
            {"streaming": FIFO},
            r"spec.yaml:8: `calibrate` chooses thresholds of exits, but no stage has an `exit`",
        ),
        (ALONE, {"streaming": ""}, r"streaming.yaml:4: .*takes its input through the FIFO \(`fifo: true` in a spec"),
    ],
)
def test_refuses(stages: str, options: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        planned_of(write_fifo_spec(tmp_path, stages, options))


def test_average_pooling_rounds_where_the_spec_says_so(tmp_path: Path) -> None:
    stages, options = CHAINS["twice"]
    spec = write_fifo_spec(tmp_path, stages, {**options, "front": f"{FIFO}, avg_pool_rounding: true"})
    networks = chain_of(spec).networks
    assert {name: network.avg_pool_rounding for name, network in networks.items()} == {
        "front": True,
        "streaming": False,
    }
    assert main(["build", str(spec), "-o", str(tmp_path / "out"), "--images", "3"]) == 0
    assert "pool_round=1" in (tmp_path / "out" / "registers" / "front.txt").read_text()


# ---- The runtime, with an accelerator that only listens


LOGITS = ((1, 2, 3), (4, 5, 6))


class Listener(FakeAccelerator):
    """FIFO_STAT is `status`, one after the other, then 0."""

    def __init__(self, firmware: Firmware, stages: tuple[int, ...], status: list[int]) -> None:
        super().__init__(firmware, DEVICE, stages, LOGITS[: len(stages)])
        self.status = status
        self.controls: list[BusWrite] = []
        self.left: list[int] = []  # answers that are left when a word comes

    def read(self, address: int) -> int:
        if address == STATUS:
            return self.status.pop(0) if self.status else 0
        return super().read(address)

    def _write(self, address: int, value: int) -> None:
        if address in PORTS:
            self.left.append(len(self.status))
        super()._write(address, value)

    def _write_control(self, address: int, value: int) -> None:
        self.controls.append(BusWrite(address, value))
        super()._write_control(address, value)


def fifo_firmware(**changes: object) -> Firmware:
    """The small firmware with its input through ports 0 and 1, first stage only."""
    small = small_model()
    runs = tuple(InputRun(PORTS[i], 0, run.channels, FULL[i]) for i, run in enumerate(small.input.runs))
    first = replace(small.stages[0], reads_fifo=True)
    own = {"input": replace(small.input, runs=runs), "stages": (first, small.stages[1])}
    return small_firmware(**(own | changes))


IMAGE = np.arange(-15, 15, dtype=np.int8).reshape(small_model().input.shape)


def sent(fake: FakeAccelerator) -> list[tuple[int, int]]:
    return [(address, value) for address, value in fake.registers if address in PORTS]


def frame_of(image: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> list[tuple[int, int]]:
    """Port and word in the order of sending."""
    pixels = np.zeros((8, image[0].size), np.int8)
    pixels[:5] = image.reshape(5, -1)
    words = np.ascontiguousarray(pixels.T).view("<u4")
    return [(PORTS[port], int(word)) for row in words for port, word in enumerate(row)]


def test_words_go_to_the_ports_in_turn_when_there_is_room(tmp_path: Path) -> None:
    # Port 0 is full twice; that port 1 is full does not concern it, but then port 1 waits once.
    fake = Listener(fifo_firmware(), (0, 1), [FULL[0], FULL[0] | FULL[1], FULL[1], FULL[1], 0])
    answer = run(build(fifo_firmware(), tmp_path), IMAGE[None], fake, DEVICE)
    assert (answer.statuses, answer.stages.tolist()) == ((Status.OK,), [1])
    assert sent(fake) == frame_of(IMAGE)
    assert fake.left[:2] == [2, 0]


def test_a_later_stage_gets_the_input_again(tmp_path: Path) -> None:
    firmware = fifo_firmware(stages=tuple(replace(stage, reads_fifo=True) for stage in small_model().stages))
    fake = Listener(firmware, (0, 1), [])
    run(build(firmware, tmp_path), IMAGE[None], fake, DEVICE)
    assert sent(fake) == 2 * frame_of(IMAGE)


def test_a_fifo_that_stays_full_is_a_timeout_and_is_powered_up_anew(tmp_path: Path) -> None:
    """Words of the abandoned input may be left in the FIFO."""
    looks = 100_000
    fake = Listener(fifo_firmware(), (0, 0), [FULL[1]] * looks)
    answer = run(build(fifo_firmware(), tmp_path), IMAGE[None], fake, DEVICE)
    assert answer.statuses == (Status.E_TIMEOUT,)
    assert len(sent(fake)) == 1
    assert looks - len(fake.status) <= MOST_CYCLES + 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": small_model().stages}, "goes to the FIFO, but these stages read the FIFO: none"),
        ({"input": small_model().input}, "goes to data memory, but these stages read the FIFO: front"),
    ],
)
def test_stages_and_layout_agree(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        render(fifo_firmware(**changes), DEVICE)


@pytest.mark.parametrize(
    "run",
    [
        InputRun(PORTS[0], 0, (0, 1, 2, 3), FULL[1]),
        InputRun(PORTS[0], 4, (0, 1, 2, 3), FULL[0]),
        InputRun(STATUS, 0, (0, 1, 2, 3), FULL[0]),
    ],
)
def test_a_run_that_is_no_port(run: InputRun) -> None:
    layout = fifo_firmware().models[0].input
    with pytest.raises(CheckFailed, match=f"input run at {run.address:#x}, .*: not a FIFO port"):
        render(fifo_firmware(input=replace(layout, runs=(run, layout.runs[1]))), DEVICE)


# ---- The vendor's network for cats and dogs


@pytest.fixture
def stock(corpus: Path) -> Path:
    """Folder of the vendor's checkpoints."""
    folder = corpus.parent / "checkpoints"
    if not (folder / "ai85-catsdogs-qat8-q.pth.tar").is_file():
        pytest.skip("no ../shared/checkpoints/ai85-catsdogs-qat8-q.pth.tar beside this checkout")
    return folder


def test_cats_and_dogs_from_the_spec_to_the_vendors_answer(stock: Path, corpus: Path, tmp_path: Path) -> None:
    sample = np.load(stock / "sample_cats_vs_dogs.npy").astype(np.int8)
    np.savez(tmp_path / "test.npz", x=sample[None], y=[1])
    network = f"network: {stock}/cats-dogs-hwc.yaml, checkpoint: {stock}/ai85-catsdogs-qat8-q.pth.tar, fifo: true"
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"offramp: 1\nname: cats-dogs\nnetworks:\n  main: {{{network}}}\n"
        "data: {test: test.npz}\nstages:\n  - network: main\nlabels: [cat, dog]\n"
    )
    assert main(["build", str(spec), "-o", str(tmp_path / "out")]) == 0
    known = np.load(corpus / "cases" / "net-cats-dogs" / "outputs.npz")["final"].ravel()
    answer = run(tmp_path / "out" / "firmware.elf", sample[None], Accelerator(DEVICE), DEVICE)
    assert answer.values[0].tolist() == known.tolist()
    assert answer.confidences.tolist() == [abs(int(known[1]) - int(known[0]))]


def test_cats_and_dogs_cut_after_the_streaming_layers(corpus: Path) -> None:
    """The second stage runs from memory, with the stream and FIFO switches off; twice, to see the way back."""
    case = load_case(corpus / "cases" / "net-cats-dogs", DEVICE)
    network = complete(case.network, DEVICE, no_columns_occupied(DEVICE))
    assert not check_network(network, DEVICE)
    last = max(layer.index for layer in network.layers if layer.streaming)
    machine = ModelRunner(place(cut("main", network, last), DEVICE))
    machine.load()
    known = np.load(corpus / "cases" / "net-cats-dogs" / "outputs.npz")["final"]
    results = run_all(machine, [case.sample, -case.sample, case.sample])
    assert [np.array_equal(one, known) for one in results] == [True, False, True]
    control = machine.accelerator.registers.fields("CTRL", 0)
    assert not any(control[name] for name in ("fifo", "stream", "circular", "enable"))
