"""Steps that most questions need: power, loading, starting, waiting, adding up a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from offramp.codegen.assemble import init_writes
from offramp.codegen.firmware import BusWrite
from offramp.codegen.load_images import bias_runs, weight_chunks
from offramp.codegen.lower import fifo_ports
from offramp.codegen.pack import pack_input
from offramp.codegen.program import start_writes, stop_writes, switching
from offramp.configs.device import Device
from offramp.planner.hardware.hw_layer import WORD_BYTES
from offramp.planner.ir.chain import INPUT_TENSOR
from offramp.silicon.specimens import Specimen
from offramp.silicon.steps import Code, Step, copy, pairs

SETTLE_US = 1000  # after power was switched
LEAST_WAIT = 100_000  # cycles that a start is given at least

Steps = tuple[Step, ...]


def every(device: Device) -> int:
    """All quadrants as a mask."""
    return (1 << device.geometry.quadrants) - 1


def _gcfr(device: Device, name: str, quadrants: int, more: Mapping[str, int] = MappingProxyType({})) -> Step:
    value = device.registers[name].encode({"quadrants": quadrants, **more})
    return Step(Code.WRITE, device.register_address(name), value)


def power_on(device: Device) -> Steps:
    """Power of all quadrants after a reset of their registers, and the writes of a start-up (izer toplevel.py)."""
    everything = every(device)
    return (
        Step(Code.CLOCK, value=1),
        _gcfr(device, "GCFR_RESET", everything),
        _gcfr(device, "GCFR_MASK", everything),
        _gcfr(device, "GCFR_POWER", everything),
        Step(Code.WAIT, value=SETTLE_US),
        _gcfr(device, "GCFR_ISOLATE", 0),
        _gcfr(device, "GCFR_RESET", 0),
        *awake(device),
    )


def awake(device: Device) -> Steps:
    """Clock, express loading and memory timing of all quadrants, as after every reset."""
    return (writes(init_writes(range(device.geometry.quadrants), device)),)


def power_off(device: Device, microseconds: int, supplied: int = 0, retain: int = 0) -> Steps:
    """Power of all quadrants off for a time. supplied: quadrants whose weight memories keep power; retain: those with
    all retention bits (GCFR_ISOLATE). Without the reset that the vendor's code
    begins with: what a reset does to memories is another question."""
    everything = every(device)
    return (
        Step(Code.CLOCK, value=0),
        _gcfr(device, "GCFR_ISOLATE", everything, {"retain": retain, "retain_mask": retain}),
        _gcfr(device, "GCFR_MASK", supplied),
        _gcfr(device, "GCFR_POWER", 0),
        Step(Code.WAIT, value=microseconds),
    )


def without_quadrant(device: Device, quadrant: int) -> Steps:
    """Power of one quadrant off, the others' left on."""
    off = 1 << quadrant
    rest = every(device) & ~off
    return (_gcfr(device, "GCFR_ISOLATE", off), _gcfr(device, "GCFR_POWER", rest), _gcfr(device, "GCFR_MASK", rest))


def pulse(device: Device) -> Steps:
    """Reset of all quadrants with power on."""
    return (_gcfr(device, "GCFR_RESET", every(device)), Step(Code.WAIT, value=1), _gcfr(device, "GCFR_RESET", 0))


def writes(found: Iterable[BusWrite]) -> Step:
    return pairs((write.address, write.value) for write in found)


def load_weights(specimen: Specimen, column_of: Mapping[int, int] | None = None) -> Steps:
    """Kernels by express loading. `column_of`: by quadrant, columns that its kernels lie further on."""
    device = specimen.device
    steps: list[Step] = []
    for chunk in weight_chunks(specimen.placed):
        place = device.locate(chunk.address)
        shift = (column_of or {}).get(place.quadrant, 0) if place else 0
        address = chunk.address + shift * device.express_stride
        steps += [Step(Code.COLUMN, address | 1), copy(address, chunk.words.tolist())]
    return tuple(steps)


def load_biases(specimen: Specimen) -> Steps:
    return tuple(copy(run.address, run.values.view(np.uint8).tolist()) for run in bias_runs(specimen.placed))


def load_input(specimen: Specimen) -> Steps:
    """The input in data memory; nothing where it goes through the FIFO."""
    found = {} if specimen.fifo else input_words(specimen)
    return copies(list(found), list(found.values()))


def input_words(specimen: Specimen) -> dict[int, int]:
    """Bus addresses and values of the input in data memory."""
    first = specimen.placed.requirements.layer(specimen.placed.requirements.chain.first_reader)
    packed = pack_input(first, specimen.placed.base(INPUT_TENSOR), specimen.tiny.x, specimen.device)
    place = zip(packed.instances.tolist(), packed.words.tolist(), strict=True)
    return dict(zip((specimen.device.data_address(*one) for one in place), packed.values.tolist(), strict=True))


def copies(addresses: Sequence[int], values: Sequence[int]) -> Steps:
    """Words to ascending addresses, a step for each run of neighbours."""
    return tuple(copy(addresses[first], values[first:end]) for first, end in _runs(addresses, WORD_BYTES))


def _runs(addresses: Sequence[int], step: int) -> list[tuple[int, int]]:
    """First and end index of each run of addresses `step` apart."""
    if not addresses:
        return []
    breaks = [index for index in range(1, len(addresses)) if addresses[index] - addresses[index - 1] != step]
    return list(zip([0, *breaks], [*breaks, len(addresses)], strict=True))


def load(specimen: Specimen) -> Steps:
    """All that a network needs in memories."""
    return (*load_weights(specimen), *load_biases(specimen), *load_input(specimen))


def configure(specimen: Specimen) -> Steps:
    """All registers of its layers in its quadrants, zeros included."""
    return (writes(switching((specimen.program,), specimen.device).configure(0)),)


def run(specimen: Specimen) -> Steps:
    """Start, feed the FIFO if it is used, wait, stop."""
    return (*begin(specimen), *finish(specimen))


def begin(specimen: Specimen) -> Steps:
    """Start and wait for the done flag, which stays set."""
    device = specimen.device
    *first, last = start_writes(specimen.program, device)
    done = device.registers["CTRL"].encode({"done": 1})
    limit = 8 * specimen.cycles + LEAST_WAIT
    return (
        *((writes(first),) if first else ()),
        Step(Code.GO, last.address, last.value),
        *_push(specimen),
        Step(Code.AWAIT, device.register_address("CTRL", specimen.master), done, limit),
    )


def finish(specimen: Specimen) -> Steps:
    return (writes(stop_writes(specimen.program, specimen.device)),)


def _push(specimen: Specimen) -> Steps:
    """The input through the FIFO. Our networks that stream read one quadrant, so one port."""
    if not specimen.fifo:
        return ()
    (port,) = fifo_ports(specimen.placed)
    first = specimen.placed.requirements.layer(specimen.placed.requirements.chain.first_reader)
    packed = pack_input(first, 0, specimen.tiny.x, specimen.device)
    address = specimen.device.register_address(f"FIFO_DATA{port}")
    full = specimen.device.registers["FIFO_STAT"].encode({"full": 1 << port})
    return (Step(Code.PUSH, address, full, data=tuple(packed.values.tolist())),)


def add_up(addresses: Sequence[int]) -> Steps:
    """Notes the checksum of words at ascending addresses."""
    strides = [after - before for before, after in pairwise(addresses)]
    step = min(strides, default=WORD_BYTES)
    sums = tuple(Step(Code.SUM, addresses[first], step, end - first) for first, end in _runs(addresses, step))
    return (*sums, Step(Code.SUMMED))


def result(specimen: Specimen, layer: int = -1) -> Steps:
    """Notes the checksum of what a layer left."""
    return add_up(tuple(specimen.result(layer)))


def whole_run(specimen: Specimen) -> Steps:
    """Power, load, configure, run."""
    return (*power_on(specimen.device), *load(specimen), *configure(specimen), *run(specimen))


def fill(specimen: Specimen, marker: int, layer: int = -1) -> Steps:
    """A marker in all words that a layer will write."""
    addresses = tuple(specimen.result(layer))
    return copies(addresses, [marker] * len(addresses))


def asked(one: Specimen, weights: Steps | None = None) -> Steps:
    """A whole run and its result. `weights`: steps that load the kernels in another way."""
    return (
        *power_on(one.device),
        *(weights or load_weights(one)),
        *load_biases(one),
        *load_input(one),
        *configure(one),
        *run(one),
        *result(one),
    )
