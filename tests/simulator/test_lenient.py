"""The accelerator that raises nothing: noise for undefined content, notes for what the strict one refuses."""

from __future__ import annotations

import random

import numpy as np
import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import MOST_NOTES, LenientAccelerator
from tests.helpers.accelerator_programs import (
    DEVICE,
    IDLE,
    changed,
    convolution_fields,
    get,
    idle,
    load_bias,
    load_columns,
    load_kernels,
    load_pixels,
    pass_fields,
    put,
    put_layer,
    random_bytes,
    read_pixels,
    start,
    stop,
)
from tests.helpers.single_layers import OUT

CONVOLUTION = changed(
    convolution_fields(rows=4, cols=4, inputs=4, outputs=4), POST={"bias_enable": 1}, LCTRL0={"relu": 1}
)


def lenient(seed: int = 1, floating: int = 0, clock: Clock | None = None) -> LenientAccelerator:
    return LenientAccelerator(DEVICE, clock, seed=seed, floating=floating)


def convolve(accelerator: Accelerator) -> bytes:
    idle(accelerator)
    load_pixels(accelerator, random_bytes(1, 16, 4))
    for processor in range(4):
        load_kernels(accelerator, processor, 0, random_bytes(processor, 4, 9))
    load_bias(accelerator, 0, 0, [1, 2, 3, 4])
    put_layer(accelerator, 0, CONVOLUTION)
    start(accelerator)
    stop(accelerator)
    return read_pixels(accelerator, 16, 4, OUT).tobytes()


def test_a_right_program_gives_the_same_and_is_refused_nothing() -> None:
    accelerator = lenient()
    assert convolve(accelerator) == convolve(Accelerator(DEVICE))
    assert accelerator.refused == []


def test_memories_begin_as_noise_of_the_seed() -> None:
    places = [DEVICE.data_address(3, 8), DEVICE.weight_address(20) + 4, DEVICE.bias_address(2, 9)]
    found = [[lenient(seed).read(place) for place in places] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    accelerator = lenient()
    block = accelerator.read_block(
        np.arange(DEVICE.data_address(0, 0), DEVICE.data_address(0, 1000), 4, dtype=np.uint32)
    )
    assert len(set(block.tolist())) > 990
    assert accelerator.refused == []


def test_a_run_computes_on_noise() -> None:
    accelerator = lenient()
    idle(accelerator)
    put_layer(accelerator, 0, CONVOLUTION)
    start(accelerator)
    stop(accelerator)
    assert len(set(read_pixels(accelerator, 16, 4, OUT).reshape(-1).tolist())) > 5
    assert accelerator.refused == []


def test_power_loss_leaves_other_noise_and_weights_that_are_retained() -> None:
    accelerator = lenient()
    idle(accelerator, (0, 1))
    load_columns(accelerator, 0, 0, bytes(range(9)))
    load_columns(accelerator, 16, 0, bytes(range(9)))
    load_pixels(accelerator, random_bytes(1, 16, 4))
    before = [accelerator.read(DEVICE.data_address(0, word)) for word in range(16)]
    accelerator.power(0, retain_weights=0b0001)
    accelerator.power(0b1111)
    assert accelerator.read(DEVICE.weight_address(0) + 4) == 0x01020304
    assert accelerator.read(DEVICE.weight_address(16) + 4) != 0x01020304
    assert [accelerator.read(DEVICE.data_address(0, word)) for word in range(16)] != before
    assert get(accelerator, "CTRL")["clock_enable"] == 0
    assert accelerator.refused == []


@pytest.mark.parametrize("floating", [0, 0xFFFFFFFF])
def test_a_quadrant_without_power_floats(floating: int) -> None:
    accelerator = lenient(floating=floating)
    accelerator.power(0b1101)
    for address in (
        DEVICE.data_address(4, 0),
        DEVICE.weight_address(16),
        DEVICE.bias_address(1, 0),
        DEVICE.register_address("RCNT", 1),
    ):
        accelerator.write(address, 5)
        assert accelerator.read(address) == floating
    assert len(accelerator.refused) == 8 and "quadrant 1 accessed without power" in accelerator.refused[0]


def test_of_a_block_only_what_is_refused_vanishes() -> None:
    accelerator = lenient(floating=7)
    accelerator.power(0b0001)
    addresses = np.array([DEVICE.data_address(instance, 0) for instance in (3, 4, 0)], dtype=np.uint32)
    accelerator.write_block(addresses, np.array([1, 2, 3], dtype=np.uint32))
    assert accelerator.read_block(addresses).tolist() == [1, 7, 3]
    assert len(accelerator.refused) == 2


def test_an_access_during_a_run_is_noted_and_floats() -> None:
    clock = Clock(DEVICE, instant=False)
    accelerator = lenient(floating=9, clock=clock)
    idle(accelerator)
    put_layer(accelerator, 0, pass_fields(rows=4, cols=4, inputs=4))
    accelerator.write(DEVICE.data_address(0, 0), 5)
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    accelerator.write(DEVICE.data_address(0, 0), 6)
    assert accelerator.read(DEVICE.data_address(0, 0)) == 9
    assert len(accelerator.refused) == 2 and "while CTRL.enable is 1" in accelerator.refused[0]
    clock.pass_cycles(10_000)
    stop(accelerator)
    assert accelerator.read(DEVICE.data_address(0, 0)) == 5


def test_a_run_that_is_stopped_leaves_noise() -> None:
    clock = Clock(DEVICE, instant=False)
    accelerator = lenient(clock=clock)
    idle(accelerator)
    pixels = random_bytes(1, 16, 4)
    load_pixels(accelerator, pixels)
    put_layer(accelerator, 0, pass_fields(rows=4, cols=4, inputs=4))
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    stop(accelerator)
    assert (read_pixels(accelerator, 16, 4) == pixels).all()
    assert (read_pixels(accelerator, 16, 4, OUT) != pixels).any()


def test_a_program_that_the_model_cannot_run_is_never_done() -> None:
    clock = Clock(DEVICE)
    accelerator = lenient(clock=clock)
    idle(accelerator)
    put_layer(accelerator, 0, changed(CONVOLUTION, TPTR={"last": 77}))
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    assert not get(accelerator, "CTRL")["done"]
    clock.pass_cycles(10_000_000)
    assert not accelerator.done
    assert len(accelerator.refused) == 1 and "TPTR" in accelerator.refused[0]


def test_bits_of_no_field_are_not_kept() -> None:
    accelerator = lenient()
    address = DEVICE.register_address("RCNT")
    accelerator.write(address, 0xFFFFFFFF)
    assert accelerator.read(address) == DEVICE.registers["RCNT"].mask


def test_notes_end() -> None:
    accelerator = lenient()
    for _ in range(MOST_NOTES + 5):
        accelerator.write8(DEVICE.data_address(0, 0), 1)
    assert len(accelerator.refused) == MOST_NOTES


def test_no_flipped_bit_raises() -> None:
    """Any bit of any register of a layer: it computes something, or it is never done."""
    choice, ended = random.Random(1), {True: 0, False: 0}
    for name, register in DEVICE.registers.items():
        if not register.layers and name != "LCNT_MAX":
            continue
        for bit in (bit for bit in range(32) if register.mask >> bit & 1):
            clock = Clock(DEVICE)
            accelerator = lenient(clock=clock)
            idle(accelerator)
            put_layer(accelerator, 0, CONVOLUTION if choice.random() < 0.5 else pass_fields(rows=4, cols=4, inputs=4))
            accelerator.registers.flip(name, bit, 0, 0 if register.layers else -1)
            put(accelerator, "CTRL", IDLE | {"enable": 1})
            done = bool(get(accelerator, "CTRL")["done"])
            assert done != bool(accelerator.refused)
            ended[done] += 1
    assert min(ended.values()) > 20
