"""Count the core's instructions on the virtual board: the section `instructions` of the device file.

    python -m bench.instructions [--write]            small firmwares, one question each
    python -m bench.instructions build/mnist ...      the first test image that each stage of a build answers, by part

Compiled with arm-none-eabi-gcc and the options of `offramp build`. Prints what was counted and whether
configs/max78000.yaml says the same (exit code 1 if it does not); `--write` makes it say so.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.counting import CHECK, COMPILER, COPY, LOAD, START, SWITCH, Form, Work, count, total, write_sources
from bench.counting_build import print_build
from offramp.codegen.assemble import control_guards, init_writes, readable_writes, timing_guards
from offramp.codegen.external import external_file
from offramp.codegen.firmware import BusWrite, Chunk, Firmware, InputLayout, InputRun, Model, StageCode, Tensor
from offramp.codegen.render import render
from offramp.configs.device import DEFAULT, Device, device_file, load_device
from offramp.pipeline.compile import find_compiler
from offramp.planner.hardware.hw_layer import WORD_BYTES, ceil_div
from offramp.planner.ir.chain import ExitRule
from offramp.planner.ir.measure import MEASURES, NO_ANSWER, Measure
from offramp.planner.spec.clocks import clock_setting
from offramp.simulator.board.bus import Words

FEW, MANY = 10, 110  # logits and register writes; words of an input are 16 times as many
NEVER = (1 << 32) - 1
_COLUMNS = 512
FORMS = {"chw": (True, False), "hwc": (False, False), "packed": (True, True)}


class ReadyBus:
    """An accelerator that is done at once. Its data memory holds logits that keep the softmax busy: none is so small
    that it would be skipped."""

    done = True

    def __init__(self, device: Device) -> None:
        controls = range(device.geometry.quadrants)
        self._control = {device.register_address("CTRL", quadrant): 0 for quadrant in controls}
        self._held: dict[int, int] = {}
        self._fields = device.registers["CTRL"]
        self._device = device

    def write8(self, address: int, value: int) -> None:
        """Weights: nothing to keep."""

    def write_block(self, addresses: Words, values: Words) -> None:
        for address, value in zip(addresses.tolist(), values.tolist(), strict=True):
            if address in self._control:
                self._control[address] = value
            self._held[address] = value

    def read(self, address: int) -> int:
        if address in self._control:
            done = self._fields.encode({"done": 1}) if self._control[address] & 1 else 0
            return self._control[address] | done
        place = self._device.locate(address)
        assert place is not None
        if place.kind == "register":
            return self._held.get(address, 0)
        return place.index * 37 % 101

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        """Always on."""

    def reset(self, quadrants: int) -> None:
        """Nothing to reset."""


@dataclass(frozen=True)
class Question:
    """A firmware of two stages and how it is used. `size`: words of the input; `packed`: how it is loaded; `writes`:
    registers of the full state and of a switch; `on`: nobody leaves at the first stage; `columns`: of kernels that are
    written before the last stage, from a file if `outside`; `result`: channels, pixels and bits of a last result that
    is none of logits."""

    size: int = 16
    chw: bool = True
    fifo: bool = False
    packed: bool = False
    measure: Measure = "margin"
    logits: int = FEW
    quadrants: int = 1
    writes: int = 1
    on: bool = False
    columns: int = 0
    outside: bool = False
    result: tuple[int, int, int] | None = None

    def firmware(self, device: Device) -> Firmware:
        """Tables whose registers mean nothing to a network."""
        quadrants = tuple(range(self.quadrants))
        rule = ExitRule(self.measure, self._threshold, 4)
        first, last = self._stage("first", rule, device), self._stage("last", replace(rule, threshold=None), device)
        changed = tuple(BusWrite(write.address, write.value ^ 1) for write in first.registers)
        if self.result:
            first = replace(first, answers=(NO_ANSWER,) * self.logits)
            last = replace(last, exit=None, result=_tensor(*self.result, device))
        stages = (
            replace(first, advance=changed, reads_fifo=self.fifo),
            self._with_kernels(replace(last, registers=changed, restore=first.registers), device),
        )
        return Firmware(
            name="count",
            models=(Model("count", self._layout(device), stages),),
            quadrants=quadrants,
            clock=clock_setting(device),
            init=init_writes(quadrants, device),
            readable=readable_writes(quadrants, device),
            guards=timing_guards(quadrants, device),
            weights=(),
            biases=(),
        )

    def _with_kernels(self, stage: StageCode, device: Device) -> StageCode:
        words = np.zeros(ceil_div(self.columns * device.memories["weights"].word_bytes, WORD_BYTES), np.uint32)
        chunk = Chunk(device.weight_address(0), words, device.weight_address(0), self.columns)
        if not self.columns:
            return stage
        return replace(stage, external=(chunk,)) if self.outside else replace(stage, weights=(chunk,))

    @property
    def _threshold(self) -> int:
        """Everybody leaves at the first stage, or nobody."""
        keeps_on = 0 if self.measure == "entropy" else NEVER
        return keeps_on if self.on else NEVER - keeps_on

    def _stage(self, name: str, rule: ExitRule, device: Device) -> StageCode:
        """A stage whose logits are words side by side."""
        start = _start(device, self.quadrants)
        places = tuple(device.data_address(0, 4096 + index) for index in range(self.logits))
        return StageCode(
            name=name,
            quadrants=tuple(range(self.quadrants)),
            registers=tuple(sorted(_registers(device)[: self.writes], key=lambda write: write.address)),
            advance=(),
            restore=(),
            start=start,
            stop=readable_writes(range(self.quadrants), device),
            control=control_guards(start, device),
            least_cycles=0,
            most_cycles=NEVER,
            result=Tensor((self.logits, 1, 1), 32, 4, places),
            exit=rule,
        )

    def _layout(self, device: Device) -> InputLayout:
        channels = (0,) if self.chw else (0, 1, 2, 3)
        run = InputRun(device.data_address(0, 0), 4, channels)
        if self.fifo:
            full = device.registers["FIFO_STAT"].encode({"full": 1})
            run = InputRun(device.register_address("FIFO_DATA0"), 0, channels, full)
        return InputLayout((len(channels), 4 if self.chw else 1, self.size), self.chw, (run,))

    def answer(self, device: Device) -> list[Mapping[str, Work]]:
        """The parts of three inferences."""
        with tempfile.TemporaryDirectory() as name:
            firmware = self.firmware(device)
            write_sources(render(firmware, device), Path(name))
            form = Form("OFFRAMP_PACKED" if self.packed else "OFFRAMP_CHW", 4 * self.size if self.chw else self.size)
            return count(
                Path(name), [bytes(4 * self.size)] * 3, ReadyBus(device), device, form, external_file(firmware)
            )


def _tensor(channels: int, pixels: int, bits: int, device: Device) -> Tensor:
    """Of 8 bits, four channels in the words of an instance, pixel after pixel; of 32, channel after channel."""
    lanes = 4 if bits == 8 else 1
    places = (device.data_address(0, 4096 + n // lanes * pixels) + n % lanes for n in range(channels))
    return Tensor((channels, 1, pixels), bits, 4, tuple(places))


def _registers(device: Device) -> list[BusWrite]:
    """Registers of layers, in the order of a register program, each with a value of its own."""
    return [
        BusWrite(device.register_address(register.name, 0, layer), 4098 * number * layer & register.mask & ~1)
        for layer in range(16)
        for number, register in enumerate(device.layer_registers())
        if layer < register.layers
    ]


def _start(device: Device, quadrants: int) -> tuple[BusWrite, ...]:
    """As many writes as a start takes: the master twice, the others once."""
    control = device.registers["CTRL"]
    armed, enabled = control.encode({"clock_enable": 1}), control.encode({"clock_enable": 1, "enable": 1})
    others = [BusWrite(device.register_address("CTRL", quadrant), enabled) for quadrant in range(1, quadrants)]
    master = device.register_address("CTRL")
    return (BusWrite(master, armed), *others, BusWrite(master, enabled))


def counted(device: Device) -> dict[str, int]:
    """The section `instructions`: a part's instructions once, and for each 100 of what it repeats."""
    found: dict[str, int] = {}
    for fifo in (False, True):
        for form, (chw, packed) in FORMS.items():
            ask = Question(chw=chw, packed=packed, fifo=fifo)
            name = f"fifo_{form}" if fifo else f"load_{form}"
            few, many = (instructions_of(replace(ask, size=16 * size), (LOAD,), device) for size in (FEW, MANY))
            found |= _line(name, "words", few, many, 16)
    start = [instructions_of(Question(quadrants=number), (START,), device) for number in (1, 3)]
    stop = [instructions_of(Question(quadrants=number), CHECK, device) for number in (1, 3)]
    found["start"] = start[0]
    found["start_100_quadrants"] = (start[1] - start[0] + stop[1] - stop[0]) * 100 // 2
    for measure in MEASURES:
        few, many = (instructions_of(Question(measure=measure, logits=number), CHECK, device) for number in (FEW, MANY))
        found |= _line(f"check_{measure}", "logits", few, many)
    few, many = (instructions_of(Question(writes=number, on=True), (SWITCH,), device) for number in (FEW, MANY))
    found["switch_100_writes"] = (many - few) // 2  # forth and back
    found |= _copies(device)
    few, many = (Question(writes=number).answer(device)[0][SWITCH].instructions for number in (FEW, MANY))
    found["configure_100_writes"] = many - few
    found["external_100_words"] = _external(device)
    return found


def _external(device: Device) -> int:
    """What words take more, each 100 of them, if they come from a file, which the virtual board reads at once."""
    outside, flash = (Question(columns=_COLUMNS, outside=one, on=True) for one in (True, False))
    more = instructions_of(outside, (SWITCH,), device) - instructions_of(flash, (SWITCH,), device)
    return round(100 * more / (_COLUMNS * device.memories["weights"].word_bytes / WORD_BYTES))


def _copies(device: Device) -> dict[str, int]:
    """Of copying a result of some channels and pixels: once, for each channel, and for each value."""
    found: dict[str, int] = {}
    for bits in (8, 32):
        sizes = ((1, FEW), (11, FEW), (1, MANY))
        one, more, long = (copied(channels, pixels, bits, device) for channels, pixels in sizes)
        value = (long - one) / (MANY - FEW)
        channel = (more - one) / 10 - FEW * value
        found[f"copy_{bits}"] = round(one - channel - FEW * value)
        found |= {f"copy_{bits}_100_channels": round(100 * channel), f"copy_{bits}_100_values": round(100 * value)}
    return found


def copied(channels: int, pixels: int, bits: int, device: Device) -> int:
    """Instructions of copying a result."""
    return instructions_of(Question(on=True, result=(channels, pixels, bits)), (COPY,), device)


def instructions_of(ask: Question, parts: tuple[str, ...], device: Device) -> int:
    """Instructions of some parts of the second inference; the first one configures."""
    return total(ask.answer(device)[1], parts).instructions


def _line(name: str, unit: str, few: int, many: int, scale: int = 1) -> dict[str, int]:
    """The line through two counts, at `scale` times FEW and MANY: once, and for each 100 of the unit."""
    each = (many - few) / (scale * (MANY - FEW))
    return {name: round(few - scale * FEW * each), f"{name}_100_{unit}": round(100 * each)}


def section(found: Mapping[str, int], source: str) -> str:
    """The device file's text."""
    lines = ["instructions:                       # of the core: estimated from what the emulator executes\n"]
    lines += [f"  {name}: {value}\n" for name, value in found.items()]
    return "".join([*lines, f"  source: {source}\n"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", type=Path, nargs="*", metavar="BUILD_DIR")
    parser.add_argument("--write", action="store_true", help="write the counts to the device file")
    args = parser.parse_args()
    device = load_device()
    if args.builds:
        for build in args.builds:
            print_build(build)
        return 0
    found = counted(device)
    version = find_compiler(COMPILER).version
    text = section(found, f"counted by bench/instructions.py on the virtual board, {COMPILER} {version} -O2")
    print(text, end="")
    path = device_file(DEFAULT)
    if args.write:
        old = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?m)^instructions:.*\n(?:  .*\n)*", lambda _: text, old), encoding="utf-8")
        return 0
    same = dict(device.instructions) == found
    print("the device file says the same" if same else "the device file DIFFERS")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
