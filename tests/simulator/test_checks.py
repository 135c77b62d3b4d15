"""Register combinations that are refused, each with the register and field in the message."""

from __future__ import annotations

import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import (
    DEVICE,
    Fields,
    changed,
    convolution_fields,
    idle,
    load_kernels,
    load_pixels,
    pass_fields,
    put,
    put_layer,
    random_bytes,
    start,
)

CONVOLUTION = convolution_fields(rows=4, cols=4, inputs=4, outputs=8)
PASS = pass_fields(rows=4, cols=4, inputs=8)


def start_with(fields: Fields, quadrants: tuple[int, ...] = (0,), **other: dict[str, int]) -> Accelerator:
    """Two layers, the second one faulty or not; `other` are fields that differ in the last quadrant."""
    accelerator = Accelerator(DEVICE)
    idle(accelerator, quadrants)
    put_layer(accelerator, 0, changed(PASS, EN={"processors": 0}), quadrants)
    put_layer(accelerator, 0, PASS, (0,))
    put_layer(accelerator, 1, fields, quadrants)
    if other:
        put_layer(accelerator, 1, changed(fields, **other), quadrants[-1:])
    for quadrant in quadrants:
        put(accelerator, "LCNT_MAX", {"last_layer": 1}, quadrant)
        load_pixels(accelerator, random_bytes(1, 16, 16), instance=4 * quadrant)
        for processor in range(4):
            load_kernels(accelerator, 16 * quadrant + processor, 0, random_bytes(2, 8, 9))
    start(accelerator, quadrants)
    return accelerator


def test_the_unchanged_layers_run() -> None:
    assert start_with(CONVOLUTION).layers_run == [0, 1]
    assert start_with(PASS).layers_run == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"LCTRL0": {"master": 0}}, "LCTRL0.master is 0; must be 1"),
        ({"LCTRL0": {"global_write": 0}}, "LCTRL0.global_write is 0"),
        ({"LCTRL0": {"share_group": 1}}, "LCTRL0.share_group is 1; not modelled"),
        ({"LCTRL0": {"share_all": 1}}, "LCTRL0.share_all"),
        ({"LCTRL0": {"column_pad_only": 1}}, "LCTRL0.column_pad_only"),
        ({"LCTRL0": {"sources": 1}}, "LCTRL0.sources is 1; bit 0 is the master itself"),
        ({"LCTRL0": {"sources": 4}}, "LCTRL0.sources is 4; quadrant 2 does not take part"),
        ({"LCTRL0": {"parallel": 1}}, "LCTRL0.parallel is 1; only layer 0"),
        ({"LCTRL0": {"pool_enable": 1}, "PRCNT": {"last": 4}}, "PRCNT.last is 4; the image has 4 samples"),
        ({"RCNT": {"pad": 3}}, "RCNT.pad is 3; at most 2"),
        ({"CCNT": {"pad": 2, "last": 3}}, r"CCNT.last is 3; at least 2 \* pad = 4"),
        ({"RCNT": {"pad": 0, "last": 1}}, "RCNT, CCNT: the padded image is smaller than the kernel"),
        ({"MCNT": {"start": 100}}, "MCNT.last - MCNT.start is -44"),
        ({"MCNT": {"last": 57}}, "MCNT.last - MCNT.start is 57; a multiple"),
        ({"LCTRL1": {"passes": 2}}, "MCNT .* is 8; a multiple of the 3 input passes"),
        ({"LCTRL1": {"expansion": 57}}, "LCTRL1.expansion is 57"),
        (
            {"MCNT": {"start": 761 * 8, "last": 768 * 8}},
            "MCNT.last of quadrant 0 is beyond column 768; the last one is 767",
        ),
        ({"MCNT": {"start": 4, "last": 60}}, "MCNT.start is 4; a multiple of the 8 weight bits"),
        ({"TPTR": {"last": 4}}, "TPTR.last - TPTR.start is 4; must be 3"),
        ({"TPTR": {"start": 1, "last": 4}}, "TPTR.start is 1; must be 0"),
        ({"ONED": {"width": 10, "enable": 1}}, "ONED.width is 10; at most 9"),
        ({"ONED": {"enable": 1}}, "ONED.width is 0; at least 1"),
        ({"ONED": {"width": 3}}, r"ONED.width is 3; 0 \(3x3\) or 1"),
        ({"ONED": {"width": 3, "enable": 1}}, "CCNT.last is 5; 0 with ONED.enable"),
        ({"ONED": {"eltwise_enable": 1, "eltwise_conv": 1}}, "ONED.operands is 0"),
        ({"ONED": {"eltwise_conv": 1}}, "ONED.eltwise_conv is 1"),
        ({"ONED": {"eltwise_enable": 1, "operands": 1}}, "ONED.eltwise_conv is 0"),
        ({"POST": {"one_by_one": 1}}, "POST.one_by_one is 1"),
        ({"POST": {"passes_high": 1}}, "POST.passes_high is 1; 0 without POST.flatten"),
        ({"POST": {"transposed": 1}, "RCNT": {"last": 4}}, "RCNT.last is 4; odd with POST.transposed"),
        ({"POST": {"transposed": 1}, "ONED": {"width": 1}}, "ONED.width is 1; 0 with POST.transposed"),
        ({"POST": {"bias_enable": 1, "bias_start": 505}}, "POST.bias_start is 505; 8 bytes are read, there are 512"),
        ({"EN": {"kernels": 0x7}}, "EN.kernels of quadrant 0 is 0x7; equal to EN.processors 0xf"),
        ({"EN": {"processors": 0, "kernels": 0}}, "EN.processors is 0; at least one processor"),
        ({"RPTR_BASE": {"word": 8177}}, "RPTR_BASE.word is 8177; 16 words are read, the instance has 8192"),
        (
            {"WPTR_BASE": {"pointer": 8177}},
            "WPTR_BASE.pointer is word 8192 of instance 0 written; the last word is 8191",
        ),
        ({"WPTR_BASE": {"pointer": 15 * 8192}}, "WPTR_BASE.pointer is 0x20000 for slot 4; past the last word"),
        ({"WPTR_MOFF": {"step": 0}}, "word 4096 of instance 0 is written for two groups"),
        ({"LCTRL1": {"expansion": 24}}, "word 4096 of instance 0 is written for two groups"),
    ],
)
def test_a_convolution_is_refused(change: dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(AcceleratorError, match=r"layer 1: " + message):
        start_with(changed(CONVOLUTION, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ONED": {"time_slots": 0}}, r"ONED.time_slots is 0 \(1 time slots\); quadrant 0 needs 2"),
        ({"POST": {"bias_enable": 1}}, "POST.bias_enable is 1"),
        ({"POST": {"one_by_one": 0}}, "POST.one_by_one is 0"),
        ({"POST": {"shift": 1}}, "POST.shift is 1"),
        ({"LCTRL0": {"wide": 1}}, "LCTRL0.wide is 1"),
        ({"LCTRL0": {"relu": 1}}, "LCTRL0.relu is 1"),
        ({"WPTR_TOFF": {"step": 0}}, "word 4096 of instance 0 is written for two groups"),
        ({"EN": {"processors": 0}}, "EN.processors is 0"),
    ],
)
def test_a_pass_through_layer_is_refused(change: dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(AcceleratorError, match=r"layer 1: " + message):
        start_with(changed(PASS, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"RCNT": {"last": 7}},
            "RCNT.last of quadrant 1 is 7; participating quadrants must agree and quadrant 0 has 5",
        ),
        ({"WPTR_BASE": {"pointer": 0}}, "WPTR_BASE.pointer of quadrant 1 is 0"),
        ({"MCNT": {"last": 64}}, "MCNT.last - MCNT.start of quadrant 1 is 64; quadrant 0 has 56"),
        ({"POST": {"weight_size": 3}}, "POST.weight_size of quadrant 1 is 3"),
        ({"EN": {"processors": 1, "kernels": 1}}, "EN.processors of quadrant 1 is set; its sum is lost"),
        ({"POST": {"bias_enable": 1}}, "POST.bias_enable of quadrant 1 is set; its sum is lost"),
    ],
)
def test_quadrants_that_do_not_fit_together_are_refused(change: dict[str, dict[str, int]], message: str) -> None:
    change = {"EN": {"processors": 0, "kernels": 0}} | change
    with pytest.raises(AcceleratorError, match=r"layer 1: " + message):
        start_with(CONVOLUTION, (0, 1), **change)


def test_chw_input_needs_processors_that_are_first_in_their_instance() -> None:
    accelerator = Accelerator(DEVICE)
    idle(accelerator)
    put_layer(accelerator, 0, changed(CONVOLUTION, LCTRL0={"parallel": 1}))
    with pytest.raises(AcceleratorError, match=r"layer 0: EN.processors is processor 1 enabled; CHW: multiples of 4"):
        start(accelerator)
