"""The core's work for an answer - loads, starts, checks of results, switches - in cycles of the accelerator's clock.

Instructions are counted on the virtual board (bench/instructions.py; section `instructions` of the device file). One
takes one cycle of the core; an access to the accelerator makes it wait `bus_wait_ns` longer, and each word of the FIFO,
looked for and written, `fifo_wait_ns`. Both are what published loads leave when their instructions are taken away:
KWS20, 4,096 words in 1.1 ms by a loop of four instructions, and FaceID through the FIFO, 19,200 words in 12.1 ms by one
of eight (AN7417 tables 4 and 5). Assumed besides: code comes from the cache, and no store overlaps what follows it. All
of it scales with the core's clock, as AN7417 measured at 60 MHz.

Through the FIFO, loading overlaps the layers that stream; after its last word these have the rows still to do whose
windows reach the end of the input, and the other layers follow:

    answer = max(load + last rows of the streaming layers, streaming layers) + other layers

Published times of loading and inference together: cats-dogs 12,481 us (12,482 us in another project with the same
layers), model 12,204 us; faceid 14,001 us, model 13,896 us. In both the load takes longer than the layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from offramp.configs.device import Device
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, ceil_div, map_layer, set_bits, with_processors
from offramp.planner.ir.measure import Measure
from offramp.planner.ir.network import INPUT, Network

COUNTED = "instructions counted on the virtual board"
BUS = f"{COUNTED}; time of an access from the input load of KWS20 in AN7417 table 4"
FIFO = f"{COUNTED}; time of a word from the input load of FaceID through the FIFO in AN7417 table 5"
FETCH = f"{BUS}; bytes a second of the memory outside as the spec states them"
CHECKED = f"{BUS}; reading from the memory outside not counted, as the spec does not state its speed"
WEIGHT_LOAD = "rate measured by ekut-es/netdeployonnx and KappaKa1/MAX78000-Dynamic-Neural-Network"


def load_cycles(device: Device, network: Network, packed: bool = False) -> Cycles:
    """Loading one input from bytes or, `packed`, from words as the accelerator takes them; through the FIFO as long as
    it takes if the accelerator is never too slow."""
    layer = network.consumers(INPUT)[0]
    hw = map_layer(with_processors(layer, device), network, device)
    chw = layer.data_format == "CHW"
    runs = hw.layer.in_shape.channels if chw else len(_hwc_runs(hw, device))
    words = runs * (ceil_div(network.input_shape.pixels, WORD_BYTES) if chw else network.input_shape.pixels)
    form = "packed" if packed else "chw" if chw else "hwc"
    name = f"{'fifo' if network.fifo else 'load'}_{form}"
    once = device.instructions[name] * (1 if network.fifo else runs)
    instructions = once + ceil_div(device.instructions[f"{name}_100_words"] * words, 100)
    if network.fifo:
        return _cycles(device, instructions, words, "fifo_wait_ns", FIFO)
    return _work(device, instructions, words)


def _hwc_runs(hw: HwLayer, device: Device) -> set[tuple[int, int, int]]:
    """Words of a pixel: data memory instance, pass and operand."""
    processors = set_bits(hw.processors)
    places = (divmod(channel, hw.per_pass) for channel in range(hw.layer.in_shape.channels))
    return {
        (device.instance_of(processors[place]), input_pass, operand)
        for input_pass, place in places
        for operand in range(hw.operands)
    }


def added_by_load(load: Cycles, layers: Iterable[tuple[HwLayer, Cycles]]) -> Cycles:
    """What loading through the FIFO adds to the layers of a run (its own time, if none of them streams)."""
    streaming = [(hw, cost.cycles) for hw, cost in layers if hw.layer.streaming]
    rows_left = sum(ceil_div(cycles * (hw.pad[0] + 1), hw.pooled[0]) for hw, cycles in streaming)
    added = load.cycles + rows_left - sum(cycles for _, cycles in streaming)
    return replace(load, cycles=max(added, 0))


def start_cycles(device: Device, quadrants: int) -> Cycles:
    """From the call to a started accelerator: CTRL of the master twice, of each other quadrant once."""
    return _work(device, _counted(device, "start", "quadrants", quadrants - 1), quadrants + 1)


def check_cycles(device: Device, measure: Measure, logits: int, reads: int, quadrants: int) -> Cycles:
    """From the look that finds the accelerator done to the answer: stopping each quadrant, `reads` words with the
    logits, class and confidence."""
    return _work(device, _counted(device, f"check_{measure}", "logits", logits), 1 + quadrants + reads)


def copy_cycles(device: Device, channels: int, pixels: int, bits: int, quadrants: int) -> Cycles:
    """Copying a result that is none of logits out of data memory: a word is read for each value, and a guard in each
    quadrant."""
    name, values = f"copy_{bits}", channels * pixels
    repeated = (
        device.instructions[f"{name}_100_channels"] * channels + device.instructions[f"{name}_100_values"] * values
    )
    return _work(device, device.instructions[name] + ceil_div(repeated, 100), values + quadrants)


def stop_cycles(device: Device, quadrants: int) -> Cycles:
    """From the look that finds the accelerator done to a stopped one whose result nobody reads: counted as a check of
    no logits, which takes a little more."""
    return _work(device, device.instructions["check_margin"], 1 + quadrants)


def switch_cycles(device: Device, writes: int) -> Cycles:
    """So many register writes between two runs."""
    return _work(device, ceil_div(device.instructions["switch_100_writes"] * writes, 100), writes)


def weight_load_cycles(device: Device, weight_bytes: int) -> Cycles:
    """Loading kernels into weight memory, once after power-up."""
    nanoseconds = ceil_div(weight_bytes * 10**6, device.costs["weight_bytes_per_ms"])
    return Cycles(core_time(nanoseconds, device), "published", WEIGHT_LOAD)


def fetch_cycles(device: Device, size: int, bytes_per_second: int | None) -> Cycles:
    """Reading so many bytes from outside flash, as fast as the user says, and their checksum; without that number the
    checksum only."""
    words = ceil_div(size, WORD_BYTES)
    reading = ceil_div(size * 10**9, bytes_per_second) if bytes_per_second else 0
    instructions = ceil_div(device.instructions["external_100_words"] * words, 100)
    nanoseconds = ceil_div(instructions * 10**9, device.clocks["core_hz"]) + reading
    cycles = ceil_div(nanoseconds * device.clocks["cnn_hz"], 10**9)
    return Cycles(cycles, "estimated", FETCH if reading else CHECKED, instructions)


def _counted(device: Device, name: str, unit: str, number: int) -> int:
    return device.instructions[name] + ceil_div(device.instructions[f"{name}_100_{unit}"] * number, 100)


def _work(device: Device, instructions: int, accesses: int) -> Cycles:
    return _cycles(device, instructions, accesses, "bus_wait_ns", BUS)


def _cycles(device: Device, instructions: int, accesses: int, wait: str, source: str) -> Cycles:
    """`wait`: the cost of an access, by its name in the device file."""
    nanoseconds = ceil_div(instructions * 10**9, device.costs["core_hz"]) + accesses * device.costs[wait]
    return Cycles(core_time(nanoseconds, device), "estimated", source, instructions, accesses)


def core_time(nanoseconds: int, device: Device) -> int:
    """Cycles of the accelerator's clock in which the core does what takes so long at the clock of the costs."""
    at = device.costs["core_hz"] * device.clocks["cnn_hz"]
    return ceil_div(nanoseconds * at, device.clocks["core_hz"] * 10**9)
