"""Starting: which write starts which quadrants, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import (
    DEVICE,
    IDLE,
    changed,
    convolution_fields,
    get,
    idle,
    load_bias,
    load_kernels,
    load_pixels,
    pass_fields,
    put,
    put_layer,
    read_pixels,
    start,
    stop,
)
from tests.helpers.single_layers import OUT, copying


def test_only_a_rising_enable_starts_and_done_is_cleared_by_writing_zero() -> None:
    accelerator, _ = copying()
    start(accelerator)
    assert accelerator.done
    accelerator.layers_run.clear()
    put(accelerator, "CTRL", IDLE | {"enable": 1, "done": 1})
    assert accelerator.done
    assert accelerator.layers_run == []
    put(accelerator, "CTRL", IDLE)
    assert not accelerator.done
    put(accelerator, "CTRL", IDLE | {"done": 1})
    assert not accelerator.done
    put(accelerator, "CTRL", IDLE | {"enable": 1})
    assert accelerator.layers_run == [0]


def test_all_waiting_quadrants_run_and_report_done() -> None:
    accelerator, pixels = copying((0, 2))
    start(accelerator, (0, 2))
    assert [get(accelerator, "CTRL", quadrant)["done"] for quadrant in range(4)] == [1, 0, 1, 0]
    stop(accelerator, (0, 2))
    for instance in (0, 8):
        assert (read_pixels(accelerator, 16, 4, OUT, instance) == pixels).all()


def test_a_quadrant_without_clock_does_not_start() -> None:
    accelerator, _ = copying()
    put(accelerator, "CTRL", {"enable": 1})
    assert not accelerator.done


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (
            {"enable": 1, "clock_enable": 1, "sync_enable": 1, "pool_round": 1},
            "quadrant 1: CTRL.pool_round is 1; quadrant 0",
        ),
        (
            {"enable": 1, "clock_enable": 1, "sync_enable": 1, "sync_source": 2},
            "quadrant 1: CTRL.enable is 1 while quadrant 0",
        ),
    ],
)
def test_quadrants_that_do_not_start_together_are_refused(control: dict[str, int], message: str) -> None:
    accelerator, _ = copying((0, 1))
    put(accelerator, "CTRL", control, 1)
    with pytest.raises(AcceleratorError, match=message):
        put(accelerator, "CTRL", IDLE | {"enable": 1})


@pytest.mark.parametrize("switch", ["calc_max", "pool_enable", "big_data", "one_shot", "simple_1bit", "fast_fifo"])
def test_switches_that_are_not_modelled_are_refused(switch: str) -> None:
    accelerator, _ = copying()
    with pytest.raises(AcceleratorError, match=f"quadrant 0: CTRL.{switch} is 1; not modelled"):
        put(accelerator, "CTRL", IDLE | {"enable": 1, switch: 1})


def test_the_number_of_layers_must_agree_and_stay_while_enabled() -> None:
    accelerator, _ = copying((0, 1))
    put(accelerator, "LCNT_MAX", {"last_layer": 3}, 1)
    with pytest.raises(
        AcceleratorError, match=r"quadrant 1: LCNT_MAX.last_layer is 3; quadrant 0, which starts, has 0"
    ):
        start(accelerator, (0, 1))
    with pytest.raises(AcceleratorError, match=r"LCNT_MAX written while CTRL.enable is 1"):
        put(accelerator, "LCNT_MAX", {"last_layer": 0}, 1)


@pytest.mark.parametrize("address", [DEVICE.data_address(0, 0), DEVICE.bias_address(0, 0), DEVICE.weight_address(0)])
def test_memories_are_not_accessible_while_enabled(address: int) -> None:
    accelerator, _ = copying()
    start(accelerator)
    with pytest.raises(AcceleratorError, match=r"of quadrant 0 accessed while CTRL.enable is 1"):
        accelerator.write(address, 0)
    with pytest.raises(AcceleratorError, match=r"of quadrant 0 accessed while CTRL.enable is 1"):
        accelerator.read(address)


def test_slots_beyond_the_last_layer_and_idle_quadrants_hold_anything() -> None:
    accelerator, pixels = copying()
    rng = np.random.default_rng(3)
    for quadrant in range(4):
        for register in DEVICE.layer_registers():
            for layer in range(1 if quadrant == 0 else 0, register.layers):
                junk = int(rng.integers(0, 1 << 32)) & register.mask
                accelerator.write(DEVICE.register_address(register.name, quadrant, layer), junk)
    start(accelerator)
    assert accelerator.layers_run == [0]
    stop(accelerator)
    assert (read_pixels(accelerator, 16, 4, OUT) == pixels).all()


def test_layers_are_told_of_in_order() -> None:
    accelerator, _ = copying()
    put_layer(
        accelerator,
        1,
        changed(pass_fields(rows=4, cols=4, inputs=4), RPTR_BASE={"word": OUT}, WPTR_BASE={"pointer": 100}),
    )
    put(accelerator, "LCNT_MAX", {"last_layer": 1})
    seen: list[int] = []
    accelerator.on_layer = seen.append
    start(accelerator)
    assert seen == accelerator.layers_run == [0, 1]


def test_changed_weights_and_biases_are_used_by_the_next_inference() -> None:
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    fields = convolution_fields(rows=1, cols=1, inputs=1, outputs=1, shift=0)
    put_layer(accelerator, 0, changed(fields, POST={"bias_enable": 1}, TPTR={"last": 0}))
    load_pixels(accelerator, np.array([[64]], dtype=np.int8))
    results = []
    for weight, bias in ((2, 0), (4, 0), (4, 5)):
        load_kernels(accelerator, 0, 0, np.array([[0, 0, 0, 0, weight, 0, 0, 0, 0]], dtype=np.int8))
        load_bias(accelerator, 0, 0, [bias])
        start(accelerator)
        stop(accelerator)
        results.append(int(read_pixels(accelerator, 1, 1, OUT)[0, 0]))
    assert results == [1, 2, 7]
