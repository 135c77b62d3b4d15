"""Every cut of a network, as two stages, gives what the unsplit network gives, whatever lay in registers and memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.codegen.firmware import BusWrite
from offramp.codegen.program import Switching
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.case import Case, load_case
from offramp.corpus.cuts import judge, judge_cut, junk_memories, live_words, registers, switched_memories
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.ai8x.load import load_network
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import cut, whole
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.ir.network import Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.planner.rules.check import check_network
from offramp.simulator.errors import AcceleratorError
from tests.helpers.networks import make_layer, make_network
from tests.helpers.paths import ROOT

DEVICE = load_device()

STOCK = {
    "mnist-chw-ai85": "ai85-mnist-qat8-q.pth.tar",
    "mnist-chw-extrasmall-ai85": "ai85-mnist-extrasmall-qat8-q.pth.tar",
}
INPUTS = 20

# Networks of the corpus with a description and weights of their own (variants change flags of the vendor's tool), and
# the cuts tested here: all (None), of the five largest a few. `python -m bench.cuts` runs every cut of every case.
CORPUS: dict[str, tuple[int, ...] | None] = {
    "net-aisegment_unet": (0, 8, 17),
    "net-bayer2rgb-32": None,
    "net-bayer2rgb-40-nofifo": None,
    "net-camvid_unet_nofakept": (0, 9),
    "net-cats-dogs": None,
    "net-cifar-10": None,
    "net-cifar10-hwc": None,
    "net-fashionmnist-chw": None,
    "net-kws20": None,
    "net-kws20_v3": None,
    "net-kws20_v3_msnoise_mixed": None,
    "net-mnist": None,
    "net-mnist-extrasmall": None,
    "net-svhn_tinierssd": (0, 9, 18),
    "syn-benchmark": None,
    "syn-cifar100-nas": (0, 4, 9),
    "syn-cifar100-simple-q4": None,
    "syn-cifar100-simplewide2x": (0, 6, 12),
    "syn-kws20-v2": None,
    "syn-mnist-chw-smallnet": None,
    "syn-test-flatten-fc-quant2-fc": None,
    "syn-test-resnet-4l": None,
    "syn-test-wide512in-q4": None,
}


def check_every_cut(network: Network) -> None:
    """All cuts on `INPUTS` random inputs each; the answers are the integer reference's, and the unsplit network's."""
    shape = network.input_shape
    x = np.random.default_rng(1).integers(-128, 128, (INPUTS, shape.channels, shape.rows, shape.cols)).astype(np.int8)
    answers = run_network(network, x)[network.layers[-1].index].astype(np.int32)
    machine = ModelRunner(place(whole("network", network), DEVICE))
    machine.load()
    assert np.array_equal(run_all(machine, list(x[:2])), answers[:2])
    cuts = legal_cuts(network)
    assert cuts == tuple(range(len(network.layers) - 1))
    assert {after: judge_cut(network, after, list(x), list(answers), DEVICE) for after in cuts} == dict.fromkeys(
        cuts, ()
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", STOCK)
def test_stock_networks(name: str) -> None:
    folder = ROOT.parent / "shared" / "checkpoints"
    if not folder.is_dir():
        pytest.skip("no ../shared/checkpoints beside this checkout")
    check_every_cut(load_network(folder / f"{name}.yaml", DEVICE, folder / STOCK[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["main", "front-4"])
def test_example_networks(name: str) -> None:
    folder = ROOT / "examples" / "mnist"
    network = load_network(folder / f"{name}.yaml", DEVICE, folder / f"{name}.pth.tar")
    check_every_cut(complete(network, DEVICE, no_columns_occupied(DEVICE)))


def answer_of(case: Case, folder: Path) -> npt.NDArray[np.int32]:
    shape = case.network.layers[-1].out_shape
    final: npt.NDArray[np.int32] = np.load(folder / "outputs.npz", allow_pickle=False)["final"].astype(np.int32)
    return final.reshape(shape.channels, shape.rows, shape.cols)


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_corpus_networks(corpus: Path, name: str) -> None:
    """Against the vendor's answer. Of the five largest networks a few cuts only, see `CORPUS`."""
    folder = corpus / "cases" / name
    case = load_case(folder, DEVICE)
    cuts = CORPUS[name] or legal_cuts(case.network)
    assert cuts
    assert set(cuts) <= set(legal_cuts(case.network))
    inputs, answers = [case.sample] * 2, [answer_of(case, folder)] * 2
    problems = {after: judge_cut(case.network, after, inputs, answers, DEVICE, case.overlap) for after in cuts}
    assert problems == dict.fromkeys(cuts, ())


def test_no_cut_inside_streaming(corpus: Path) -> None:
    """The first cut is after the last streaming layer."""
    network = load_case(corpus / "cases" / "net-cats-dogs", DEVICE).network
    streaming = [layer.index for layer in network.layers if layer.streaming]
    assert set(legal_cuts(network)).isdisjoint(streaming[:-1])
    assert check_network(network, DEVICE) == ()


def residual() -> Network:
    """Layer 2 adds what layers 0 and 1 make of the input; layer 3 goes on."""
    shape = Shape(8, 6, 6)
    layers = [
        make_layer(shape, 8, inputs=(-1,), output_shift=-4),
        make_layer(shape, 8, inputs=(-1,), output_shift=-4, kernel=(1, 1), pad=(0, 0)),
        make_layer(shape, 0, op="passthrough", operands=2, eltwise="add", inputs=(0, 1)),
        make_layer(shape, 3, inputs=(2,), output_shift=-4),
    ]
    return complete(make_network(*layers), DEVICE, no_columns_occupied(DEVICE))


def loaded(network: Network, after: int) -> tuple[ModelRunner, np.random.Generator]:
    machine = ModelRunner(place(cut("network", network, after), DEVICE))
    rng = np.random.default_rng(0)
    junk_memories(machine, rng)
    machine.load()
    return machine, rng


def answers(network: Network) -> tuple[list[npt.NDArray[np.int8]], list[npt.NDArray[np.int32]]]:
    x = np.random.default_rng(3).integers(-128, 128, (2, 8, 6, 6)).astype(np.int8)
    return list(x), list(run_network(network, x)[3].astype(np.int32))


def test_the_judge_sees_a_wrong_answer() -> None:
    network = residual()
    x, expected = answers(network)
    machine, rng = loaded(network, 1)
    assert judge(machine, x, expected, rng) == ()
    expected[1][0, 0, 0] += 1
    assert judge(machine, x, expected, rng) == ("input 1, switched: 1 of 108 values differ",)


class Forgetful(Switching):
    """Leaves out registers that want 0, as the vendor's generator does."""

    def configure(self, stage: int) -> tuple[BusWrite, ...]:
        return tuple(write for write in super().configure(stage) if write.value)


def test_the_judge_sees_a_register_that_is_not_written() -> None:
    network = residual()
    x, expected = answers(network)
    machine, rng = loaded(network, 1)
    machine.switching = Forgetful(DEVICE, machine.switching.states)
    with pytest.raises(AcceleratorError, match="layer 0"):
        judge(machine, x, expected, rng)


def test_live_words_are_inputs_and_what_later_stages_read() -> None:
    machine, _ = loaded(residual(), 1)
    before, between = (live_words(machine.placed, stage) for stage in (0, 1))
    assert before.sum() == 2 * 36  # eight channels: two instances of 36 words
    assert between.sum() == 2 * (2 * 36)  # both operands, interleaved


def test_junk_reaches_every_layer_register() -> None:
    everything = registers(DEVICE)
    layers = sum(register.layers for register in DEVICE.layer_registers())
    assert len(everything.addresses) == len(set(everything.addresses)) == 4 * (layers + 2)
    writes = list(everything.junk(np.random.default_rng(0)))
    for write in writes:
        place = DEVICE.locate(write.address)
        assert place is not None
        register = DEVICE.registers[place.name]
        assert register.encode(register.decode(write.value)) == write.value
    assert sum(write.value != 0 for write in writes) > 0.9 * len(writes)


def test_switched_memories_counts_what_is_no_register() -> None:
    machine, _ = loaded(residual(), 1)
    assert not switched_memories(machine)


def test_a_case_that_cannot_be_placed_is_an_error() -> None:
    layer = make_layer(Shape(8, 6, 6), 8, processors=0xFF, output_processors=0xFF00)
    following = make_layer(Shape(8, 6, 6), 8, processors=0xFF, output_processors=0xFF)
    with pytest.raises(InputError, match="its input is written to"):
        judge_cut(make_network(layer, following), 0, [], [], DEVICE)
