"""Chips that do something else: it shows in the answer to the question that is about it, and in no other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.silicon.board import AskedAccelerator, Words
from offramp.silicon.verdicts import Answered, Verdict
from offramp.simulator import arithmetic, store
from offramp.simulator.memory import DataMemory
from tests.helpers.silicon import DEVICE, answers, asked, model_log

EVERYTHING = (1 << DEVICE.geometry.quadrants) - 1


class ForgetsOnReset(AskedAccelerator):
    """A reset of quadrants with power costs their memories, as it begins."""

    supplied = False
    in_reset = False

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        super().power(quadrants, retain_weights)
        self.supplied = quadrants == EVERYTHING

    def reset(self, quadrants: int) -> None:
        super().reset(quadrants)
        begins, lost = quadrants == EVERYTHING and not self.in_reset, self.supplied
        self.in_reset = quadrants == EVERYTHING
        if begins and lost:
            super().power(0)
            super().power(EVERYTHING)


class RetainsNothing(AskedAccelerator):
    """Weights are lost with the quadrant's power, whatever supplies their memory."""

    def power(self, quadrants: int, retain_weights: int = 0) -> None:
        super().power(quadrants, 0)


class WriteOnly(AskedAccelerator):
    """The frame length of the FIFO reads as 0."""

    def read(self, address: int) -> int:
        hidden = {DEVICE.register_address("IFRM", quadrant) for quadrant in range(DEVICE.geometry.quadrants)}
        return 0 if address in hidden else super().read(address)


class HangsOnTwoBiases(AskedAccelerator):
    """It never gets done where two quadrants have biases enabled."""

    def write(self, address: int, value: int) -> None:
        register = DEVICE.registers["CTRL"]
        bias = DEVICE.registers["POST"].encode({"bias_enable": 1})
        enabled = [super(HangsOnTwoBiases, self).read(DEVICE.register_address("POST", quadrant)) for quadrant in (0, 1)]
        hangs = all(word & bias for word in enabled)
        if hangs and address == DEVICE.register_address("CTRL", 0):
            value &= ~register.encode({"enable": 1})
        super().write(address, value)


def changed(found: dict[str, Answered]) -> dict[str, Answered]:
    """The answers that are not those of the model."""
    model = answers(model_log())
    return {
        name: one for name, one in found.items() if (one.verdict, one.saw) != (model[name].verdict, model[name].saw)
    }


def differing(found: dict[str, Answered]) -> list[str]:
    """Measurements of the only question whose answer differs."""
    ((_, one),) = changed(found).items()
    assert one.verdict == Verdict.DIFFERS
    return [each.measurement.name for each in one.answers if each.verdict == Verdict.DIFFERS]


@pytest.mark.parametrize(
    ("chip", "measurements"),
    [
        (ForgetsOnReset, ["reset.data", "reset.kernels", "reset.biases"]),
        (RetainsNothing, ["retention.supplied"]),
        (WriteOnly, ["registers.IFRM"]),
        (HangsOnTwoBiases, ["bias-quadrants.two"]),
    ],
)
def test_another_chip(chip: type[AskedAccelerator], measurements: list[str]) -> None:
    assert differing(asked(chip(DEVICE))) == measurements


def test_a_chip_that_hangs_is_a_line_of_the_log() -> None:
    found = asked(HangsOnTwoBiases(DEVICE))["bias-quadrants"]
    assert found.saw == "two: never done"


def test_a_slow_chip() -> None:
    chip = AskedAccelerator(DEVICE)
    chip.runner.completion = lambda cycles: cycles * 11 // 10
    found = asked(chip)
    assert changed(found).keys() == {"cycles", "stop"}
    assert {one.verdict for one in found["cycles"].answers} == {Verdict.DIFFERS}
    first = found["cycles"].answers[0]
    assert first.measurement.values
    model = first.measurement.values[0]
    assert 0 <= first.values[0] - model * 11 // 10 <= 25
    assert f"conv3x3: {first.values[0]} cycles, the model says {model}" in found["cycles"].saw


def test_a_chip_that_goes_on_where_it_was_stopped() -> None:
    """The start after a stop takes what was left: here a third less."""
    chip = AskedAccelerator(DEVICE)
    stopped: list[int] = []
    stop = chip.runner.stop

    def stopping(quadrants: Iterable[int]) -> None:
        chosen = list(quadrants)
        if any(chip.runner.runs_on(quadrant) for quadrant in chosen):
            stopped.append(1)
        stop(chosen)

    chip.runner.stop = stopping  # type: ignore[method-assign]
    chip.runner.completion = lambda cycles: cycles * 2 // 3 if stopped and stopped.pop() else cycles
    assert differing(asked(chip)) == ["stop.again"]


def test_narrow_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = arithmetic.add_bias

    def narrow(total: NDArray[np.int64], bias: NDArray[np.int64]) -> NDArray[np.int64]:
        half = 1 << 25
        return (exact(total, bias) + half) % (2 * half) - half

    monkeypatch.setattr(arithmetic, "add_bias", narrow)
    found = asked(AskedAccelerator(DEVICE))
    assert differing(found) == ["accumulator.256", "accumulator.1024"]
    assert found["accumulator"].saw == "wraps at 26 bits, in 2 of 2 measurements"


def test_lanes_that_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    write = store._write_bytes

    def clearing(memory: DataMemory, place: store.Placement, words: slice, results: store.Results) -> None:
        memory.words[place.instance, words] = 0
        write(memory, place, words, results)

    monkeypatch.setattr(store, "_write_bytes", clearing)
    found = asked(AskedAccelerator(DEVICE))
    assert differing(found) == ["lanes.after", "lanes.before", "lanes.copied"]
    assert found["lanes"].saw == "0, in 3 of 3 measurements"


def test_what_the_model_refuses_is_new_where_a_chip_answers() -> None:
    class Unpowered(AskedAccelerator):
        """Reads without power give ones."""

        def read(self, address: int) -> int:
            count = len(self.refusals)
            value = super().read(address)
            if len(self.refusals) == count:
                return value
            self.refusals.pop()
            return 0xFFFFFFFF

        def write_block(self, addresses: Words, values: Words) -> None:
            super().write_block(addresses, values)

    found = asked(Unpowered(DEVICE))["unpowered"]
    assert (found.verdict, found.saw) == (Verdict.NEW, "ones, in 2 of 2 measurements")
