"""Stages run one after the other with junk around them: the judge of cuts and of switches between stages.

Nothing that the generator did not write itself may matter: registers hold random legal values before a stage, weight
and bias memory random bytes wherever no layer has its own, data memory random words wherever no tensor is alive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.codegen.assemble import init_writes
from offramp.codegen.firmware import BusWrite
from offramp.codegen.program import Key
from offramp.configs.device import Device
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.allocation.place import Placed, place
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.chain import cut
from offramp.planner.ir.network import Network
from offramp.planner.placement.problem import Buffer
from offramp.simulator.accelerator import Accelerator

Input = npt.NDArray[np.int8]  # (channels, rows, cols)
Answer = npt.NDArray[np.int32]  # of the last layer, (channels, rows, cols)

GLOBAL_JUNK = (
    "LCNT_MAX",
    "IFRM",
)  # besides the layers' registers, all that a stage inherits; CTRL is written anew


def judge_cut(
    network: Network,
    after: int,
    inputs: Sequence[Input],
    answers: Sequence[Answer],
    device: Device,
    overlap: bool = False,
) -> tuple[str, ...]:
    """What is wrong with the network in two stages, cut after a layer; nothing if it answers as expected every time.

    `inputs` and `answers`: the same number, at least one. `overlap` as in `place`. OfframpError if the stages cannot be
    placed or the accelerator refuses them.
    """
    placed = place(cut("network", network, after), device, overlap)
    return judge_both_ways(placed, inputs, answers, np.random.default_rng(after), overlap)


def judge_both_ways(
    placed: Placed,
    inputs: Sequence[Input],
    answers: Sequence[Answer],
    rng: np.random.Generator,
    overlap: bool = False,
) -> tuple[str, ...]:
    """What is wrong with a placed chain's answers, first with junk in all memories, then with memories that hold only
    what was written: there the model notices if anything depends on undefined bytes. `overlap`: as in `place`.
    """
    device = placed.requirements.device
    untouched = ModelRunner(placed, Accelerator(device, overlap=overlap))
    untouched.load()
    found = run_all(untouched, inputs)
    problems = tuple(
        f"input {number}, memories untouched: {np.count_nonzero(mine != answer)} of {answer.size} values differ"
        for number, (mine, answer) in enumerate(zip(found, answers, strict=True))
        if (mine != answer).any()
    )
    machine = ModelRunner(placed, Accelerator(device, overlap=overlap))
    junk_memories(machine, rng)
    machine.load()
    return (*problems, *judge(machine, inputs, answers, rng))


def judge(
    machine: ModelRunner, inputs: Sequence[Input], answers: Sequence[Answer], rng: np.random.Generator
) -> tuple[str, ...]:
    """What is wrong with a loaded machine's answers and switches.

    Every second input runs with all registers full of junk before each stage, which is then configured in full; the
    others with junk where no stage of the chain uses a register, and a switch from stage to stage.
    """
    problems = [f"a switch writes {count} {kind} words" for kind, count in switched_memories(machine).items()]
    everything = registers(machine.device)
    unused = registers(machine.device, machine.switching.states[0])
    for number, (x, answer) in enumerate(zip(inputs, answers, strict=True)):
        if number % 2:
            machine.write(unused.junk(rng))
            way, found = "switched", run_among_junk(machine, x, rng, None)
        else:
            way, found = "configured from junk", run_among_junk(machine, x, rng, everything)
        wrong = int(np.count_nonzero(found != answer))
        if wrong:
            problems.append(f"input {number}, {way}: {wrong} of {answer.size} values differ")
    return tuple(problems)


def run_among_junk(machine: ModelRunner, x: Input, rng: np.random.Generator, fill: Registers | None) -> Answer:
    """All stages on one input; the last layer's output. `fill`: registers that get junk before every stage."""
    machine.write_input(x)
    for index in range(len(machine.programs)):
        junk_data(machine, index, rng)
        if fill:
            machine.write(fill.junk(rng))
            machine.stage = None
        machine.run_stage(index)
    return machine.read(machine.placed.requirements.chain.slots[-1].writes)


@dataclass(frozen=True)
class Registers:
    """Registers to fill with junk: their addresses and the bits that belong to a field."""

    addresses: tuple[int, ...]
    masks: npt.NDArray[np.int64]

    def junk(self, rng: np.random.Generator) -> Iterable[BusWrite]:
        """A random value for every field."""
        values = rng.integers(0, 1 << 32, len(self.masks)) & self.masks
        return map(BusWrite, self.addresses, values.tolist())


def registers(device: Device, without: Collection[Key] = ()) -> Registers:
    """Every register that says what a stage does: those of all layer slots in all quadrants, and `GLOBAL_JUNK`."""
    quadrants = range(device.geometry.quadrants)
    keys = [Key(quadrant, -1, name) for name in GLOBAL_JUNK for quadrant in quadrants]
    for register in device.layer_registers():
        keys += [Key(quadrant, layer, register.name) for quadrant in quadrants for layer in range(register.layers)]
    keys = [key for key in keys if key not in without]
    addresses = tuple(key.address(device) for key in keys)
    return Registers(addresses, np.array([device.registers[key.name].mask for key in keys], np.int64))


def junk_memories(machine: ModelRunner, rng: np.random.Generator) -> None:
    """Random bytes in the weight and bias memories of all quadrants, before anything is loaded."""
    device, accelerator = machine.device, machine.accelerator
    machine.write(init_writes(range(device.geometry.quadrants), device))
    weights, biases = device.memories["weights"], device.memories["bias"]
    for processor in range(device.geometry.processors):
        address = device.weight_address(processor)
        accelerator.write8(address | 1, 1)
        accelerator.write_words(
            address, random_words(device.columns(processor) * weights.word_bytes // WORD_BYTES, rng)
        )
    for quadrant in range(device.geometry.quadrants):
        accelerator.write_words(device.bias_address(quadrant, 0), random_words(biases.words, rng))


def junk_data(machine: ModelRunner, segment: int, rng: np.random.Generator, others: Iterable[Placed] = ()) -> None:
    """Random words in data memory before a segment, wherever no tensor is alive according to the placement, and no
    rolling buffer of `others`, the models beside it."""
    device = machine.device
    dead = ~live_words(machine.placed, segment)
    for other in others:
        dead &= ~_kept_words(other)
    for instance, words in enumerate(dead):
        addresses = device.data_address(instance, 0) + WORD_BYTES * np.flatnonzero(words).astype(np.uint32)
        machine.accelerator.write_block(addresses, random_words(len(addresses), rng))


def live_words(placed: Placed, segment: int) -> npt.NDArray[np.bool_]:
    """Words of data memory that hold something before a segment runs, (instances, words)."""
    before = placed.requirements.chain.segments[:segment]
    step = sum(len(one.slots) + one.last for one in before)  # the input is loaded, or the last result was checked
    return _words(placed, [block for block in placed.problem.data if block.first <= step < block.last])


def _kept_words(placed: Placed) -> npt.NDArray[np.bool_]:
    """Words that keep their content from one inference to the next, (instances, words)."""
    return _words(placed, [block for block in placed.problem.data if block.kept])


def _words(placed: Placed, blocks: Iterable[Buffer]) -> npt.NDArray[np.bool_]:
    device = placed.requirements.device
    found = np.zeros((device.geometry.instances, device.memories["data"].words), np.bool_)
    for block in blocks:
        start = placed.placement.data[block.name]
        found[list(block.instances), start : start + block.words] = True
    return found


def random_words(count: int, rng: np.random.Generator) -> npt.NDArray[np.uint32]:
    return rng.integers(0, 1 << 32, count, dtype=np.uint32)


def switched_memories(machine: ModelRunner) -> Counter[str]:
    """Words that the switches between all pairs of stages write to anything but registers, by memory."""
    count = len(machine.programs)
    pairs = [(before, after) for before in range(count) for after in range(count) if before != after]
    places = [machine.device.locate(w.address) for pair in pairs for w in machine.switching.transition(*pair)]
    return Counter("unknown" if one is None else one.kind for one in places if one is None or one.kind != "register")
