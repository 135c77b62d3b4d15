"""The order of layer slots: first and last one, links, stops, and links that a snoop unit decides about."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from offramp.simulator.errors import AcceleratorError, UndecidedError
from tests.helpers.accelerator_programs import Fields, changed, get, load_kernels, load_pixels, put, read_pixels
from tests.helpers.window_programs import (
    OUTPUT,
    SNOOP_SWITCHES,
    convolution,
    copy,
    loaded,
    put_slot,
    put_snoop,
    run,
    run_slots,
)

COPY = copy(4, 4)
COUNTED = 7  # matches that HIT holds before the run


def linked(target: int) -> Fields:
    return COPY | {"NXTLYR": {"next": target, "link": 1}}


@pytest.mark.parametrize(
    ("slots", "first", "last", "expected"),
    [
        ({0: COPY, 1: COPY, 2: COPY}, 0, 2, [0, 1, 2]),
        ({0: COPY, 1: COPY, 2: COPY}, 1, 2, [1, 2]),
        ({5: COPY, 127: COPY}, 127, 127, [127]),
        ({1: linked(0), 0: linked(3), 3: linked(2), 2: COPY}, 1, 2, [1, 0, 3, 2]),
        ({0: linked(9), 9: COPY | {"NXTLYR": {"stop": 1}}}, 0, 3, [0, 9]),
        ({0: linked(5), 5: COPY, 6: COPY}, 0, 6, [0, 5, 6]),
    ],
)
def test_slots_run_in_order(slots: dict[int, Fields], first: int, last: int, expected: list[int]) -> None:
    assert run_slots(slots, first, last) == expected


def test_a_run_that_does_not_end_is_refused() -> None:
    with pytest.raises(AcceleratorError, match=r"the run does not end: 8192 layers so far, LCNT_MAX.last_layer is 7"):
        run_slots({0: COPY, 1: linked(0)}, 0, 7)
    with pytest.raises(AcceleratorError, match="the run goes past layer 127"):
        run_slots({127: COPY}, 127, 7)


def watching(value: int, **control: int) -> dict[str, dict[str, int]]:
    """A unit that looks for a whole word among the words of layer 0's results, from a count of COUNTED on."""
    word = {"word": OUTPUT, "data_memory": 1}
    compares = {"address_compare": 5, "data_compare": 2, "mode_low": 1, "width": 4}
    return {
        "A1": word,
        "A2": word | {"word": OUTPUT + 15},
        "D1": {"data": value},
        "HIT": {"count": COUNTED},
        "C2": {"layer": 0, "condition": 3},
        "C1": {"enable": 1, "count": 1, **compares, **control},
    }


def conditional(hit: bool, **control: int) -> list[int]:
    """Layer 0, whose link to layer 3 a unit decides about; layer 1 otherwise."""
    accelerator = loaded()
    for slot, fields in {0: linked(3), 1: COPY | {"NXTLYR": {"stop": 1}}, 3: COPY}.items():
        put_slot(accelerator, slot, fields)
    value = accelerator.read(accelerator.device.data_address(0, 5)) ^ (not hit)
    put_snoop(accelerator, "SNOOP2", watching(value, **control))
    slots = run(accelerator, 0, 3, SNOOP_SWITCHES)
    assert get(accelerator, "SNOOP2_HIT")["count"] == COUNTED + hit
    return slots


@pytest.mark.parametrize(
    ("control", "hit", "expected"),
    [
        ({"link": 1}, True, [0, 3]),
        ({"link": 1}, False, [0, 1]),
        ({"stop": 1}, True, [0]),
        ({"stop": 1}, False, [0, 3]),
        ({}, True, [0, 3]),
    ],
)
def test_a_unit_decides_what_is_next(control: dict[str, int], hit: bool, expected: list[int]) -> None:
    assert conditional(hit, **control) == expected


def test_what_is_not_known_of_a_unit_is_refused() -> None:
    for control in ({"data_compare": 1}, {"count_compare": 4}, {"mode_high": 1}, {"width": 1}):
        with pytest.raises(AcceleratorError, match=f"SNOOP2_C1.{next(iter(control))} is .* of it is known"):
            conditional(True, **control)
    accelerator = loaded()
    put_slot(accelerator, 0, COPY)
    put_snoop(accelerator, "SNOOP1", watching(1))
    with pytest.raises(AcceleratorError, match=r"CTRL.bus_clock_enable is 0; whether SNOOP1 works"):
        run(accelerator)


def test_a_link_of_another_layer_is_undecided_while_a_unit_links() -> None:
    accelerator = loaded()
    for slot, fields in {0: linked(3), 1: linked(3), 3: COPY}.items():
        put_slot(accelerator, slot, fields)
    put_snoop(accelerator, "SNOOP1", watching(1, link=1))
    with pytest.raises(
        UndecidedError, match=r"layer 1: NXTLYR.link is 1; what it does is not known while a snoop unit"
    ):
        run(accelerator, 0, 3, SNOOP_SWITCHES)


@pytest.mark.parametrize(("low", "high", "slots"), [(23, 30, [0]), (2, 20, [0, 1]), (8, 9, None), (2, 200, None)])
def test_the_compare_of_counts_decides_where_both_readings_agree(low: int, high: int, slots: list[int] | None) -> None:
    """16 matches, 23 with those before. One reading: it acts if 23 is within X1..X2; the other: if 16 is outside."""
    accelerator = loaded()
    load_pixels(accelerator, np.full((16, 4), 5, dtype=np.int8))
    for slot in (0, 1):
        put_slot(accelerator, slot, COPY)
    count = {"X1": {"count": low}, "X2": {"count": high}, "C2": {"layer": 0, "condition": 4}}
    put_snoop(accelerator, "SNOOP1", watching(0x05050505, stop=1, count_compare=5) | count)
    if slots is None:
        with pytest.raises(UndecidedError, match=r"SNOOP1_C1.count_compare: 16 matches, 23 in HIT, X1 .*is not known"):
            run(accelerator, 0, 1, SNOOP_SWITCHES)
    else:
        assert run(accelerator, 0, 1, SNOOP_SWITCHES) == slots
    assert accelerator.registers.field("SNOOP1_HIT", "count") == COUNTED + 16


def test_sum_and_largest_value_go_on_from_what_is_there() -> None:
    """Byte 3 of each word, within a range; the largest value is 86, first at word 2."""
    accelerator = loaded()
    pixels = np.zeros((16, 4), dtype=np.int8)
    pixels[:6, 3] = (44, 26, 86, -12, 86, 127)
    load_pixels(accelerator, pixels)
    put_slot(accelerator, 0, COPY)
    record = watching(27, data_compare=5, width=3, accumulate=1, record_maximum=1)
    put_snoop(accelerator, "SNOOP1", record | {"D2": {"data": 86}, "ACC": {"sum": 10}, "MAX": {"data": 85}})
    run(accelerator, switches=SNOOP_SWITCHES)
    assert get(accelerator, "SNOOP1_HIT")["count"] == COUNTED + 3
    assert get(accelerator, "SNOOP1_ACC")["sum"] == 10 + 44 + 86 + 86
    assert get(accelerator, "SNOOP1_MAX")["data"] == 86
    assert get(accelerator, "SNOOP1_AM") == {"word": OUTPUT + 2, "data_memory": 1}


@pytest.mark.parametrize(("above", "slots"), [(-1, [0, 3]), (0, [0, 3]), (1, [0, 1, 2])])
def test_some_logit_reaches_a_threshold(above: int, slots: list[int]) -> None:
    """32-bit results in four instances of a quadrant, one of them the largest, some negative: slot 3 if one is at least
    `above` the largest, else on with slot 1. HIT, MAX and AM say how many, which and where."""
    accelerator = loaded(1, 4)
    load_pixels(accelerator, np.array([[100, -7, 30, -90]], dtype=np.int8))
    for processor in range(4):
        load_kernels(accelerator, processor, 0, np.full((16, 9), processor, dtype=np.int8) * _signs())
    fields = changed(convolution(1, 1, 4, 16), LCTRL0={"wide": 1}, NXTLYR={"next": 3, "link": 1}, TPTR={"last": 0})
    for slot, layer in {0: fields, 1: copy(1, 1), 2: copy(1, 1), 3: copy(1, 1) | {"NXTLYR": {"stop": 1}}}.items():
        put_slot(accelerator, slot, layer)
    logits = (0 * 100 - 7 + 60 - 270) * _signs()[:, 4].astype(np.int64)
    largest = int(logits.max())
    unit = watching(largest + above, link=1, data_compare=5, record_maximum=1)
    ends = {"A1": unit["A1"], "A2": {"word": OUTPUT + 3 * 0x8000 + 3, "data_memory": 1}, "D2": {"data": 0x7FFFFFFF}}
    put_snoop(accelerator, "SNOOP1", unit | ends | {"HIT": {}})
    assert run(accelerator, 0, 2, SNOOP_SWITCHES) == slots
    hits = int((logits >= largest + above).sum())
    assert get(accelerator, "SNOOP1_HIT")["count"] == hits
    assert get(accelerator, "SNOOP1_MAX")["data"] == (largest if hits else 0)
    first = int(logits.argmax())
    where = OUTPUT + first // 4 * 0x8000 + first % 4
    assert get(accelerator, "SNOOP1_AM")["word"] == (where if hits else 0)


def _signs() -> NDArray[np.int8]:
    """(outputs, taps): outputs 5 and 11 give the negated sum."""
    signs = np.ones((16, 9), dtype=np.int8)
    signs[[5, 11]] = -1
    return signs


def test_signs_are_not_known() -> None:
    accelerator = loaded()
    put_slot(accelerator, 0, COPY)
    put_snoop(accelerator, "SNOOP1", watching(-5 & 0xFFFFFFFF, data_compare=5) | {"D2": {"data": 5}})
    with pytest.raises(UndecidedError, match="SNOOP1_D1, D2: whether values are compared with a sign is not known"):
        run(accelerator, switches=SNOOP_SWITCHES)


def test_one_shot_runs_one_layer_at_each_start() -> None:
    accelerator = loaded()
    for slot in (0, 1):
        put_slot(accelerator, slot, COPY)
    assert run(accelerator, switches={"one_shot": 1}) == [0]
    for slots in ([0], [0, 1], [0]):
        assert run(accelerator, 0, 1, {"one_shot": 1}) == slots
    assert accelerator.runner.unfinished
    assert run(accelerator, 0, 1) == [0, 1] and not accelerator.runner.unfinished
    run(accelerator, 0, 1, {"one_shot": 1})
    accelerator.reset(1)
    assert not accelerator.runner.unfinished


@pytest.mark.parametrize(("select", "known"), [(0x18, True), (0x1C, True), (0x10, False)])
def test_clearing_registers_leaves_nothing_that_is_known(select: int, known: bool) -> None:
    accelerator = loaded()
    put_slot(accelerator, 0, COPY)
    put(accelerator, "LCNT_MAX", {"first_layer": 3, "last_layer": 4})
    if not known:
        with pytest.raises(AcceleratorError, match=r"TEST.select is 0x10 with clear; only 0x18 and 0x1c are known"):
            put(accelerator, "TEST", {"clear": 1, "select": select})
        return
    put(accelerator, "TEST", {"clear": 1, "select": select})
    assert get(accelerator, "TEST")["clear_done"] == 1
    assert get(accelerator, "LCNT_MAX") == {"first_layer": 0, "last_layer": 0}
    assert get(accelerator, "CTRL")["clock_enable"] == 1
    with pytest.raises(AcceleratorError, match=r"read of data word 0 of instance 0 .* was never written"):
        read_pixels(accelerator, 1, 4)
