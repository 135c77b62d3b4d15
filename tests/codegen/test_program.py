"""Register programs as text, and switches: whatever the registers held, a stage finds everything as it wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.codegen.assemble import init_writes
from offramp.codegen.firmware import BusWrite
from offramp.codegen.lower import lower
from offramp.codegen.program import Key, RegisterProgram, start_writes, stop_writes, switching
from offramp.configs.device import load_device
from offramp.planner.allocation.place import place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import Chain, Stage, cut, slots_of, tensor_of
from offramp.planner.ir.network import Shape
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
NAMES = ("RCNT", "CCNT", "ONED", "MCNT", "EN")  # enough registers for programs made up here


def small_chain() -> Chain:
    """Two stages: a convolution with pooling and bias; then a wider one, and a linear layer with 32-bit output."""
    bias = np.arange(8).astype(np.int8)
    maps, offsets = [0x7, 0xFF0, (1 << 36) - 1, 0x1F], [0, 0x1000, 0, 0x1000]
    layers = [
        make_layer(Shape(3, 8, 8), 8, pool=(2, 2), pool_stride=2, activation="relu", bias=bias),
        make_layer(Shape(8, 4, 4), 70, weight_bits=4),
        make_layer(Shape(70, 4, 4), 5, op="linear", flatten=True, output_width=32),
    ]
    layers = [
        replace(
            layer, processors=maps[i], output_processors=maps[i + 1], in_offset=offsets[i], out_offset=offsets[i + 1]
        )
        for i, layer in enumerate(layers)
    ]
    return cut("net", make_network(*layers), 0)


def test_golden_programs(golden: Callable[[str, str], None]) -> None:
    """Everything that two small stages want in registers, and what the switches between them write, as text."""
    placed = place(small_chain(), DEVICE)
    lowered = lower(placed)
    programs, states = lowered.programs, lowered.switching
    parts = [program.text() for program in programs]
    for before, after in ((0, 1), (1, 0)):
        writes = states.transition(before, after)
        parts.append(f"switch {before} -> {after}: {len(writes)} writes\n{_listed(writes)}")
    golden("registers/two_stages.txt", "\n".join(parts))


def _listed(writes: tuple[BusWrite, ...]) -> str:
    lines = []
    for write in writes:
        found = DEVICE.locate(write.address)
        assert found is not None
        slot = f"L{found.unit:<2}" if found.unit >= 0 else "-  "
        lines.append(f"q{found.quadrant} {slot} {found.name:<10} {write.value:#010x}\n")
    return "".join(lines)


def test_text_shows_fields_that_are_not_zero() -> None:
    settings = {Key(0, 0, "RCNT"): {"last": 9, "pad": 0}, Key(0, -1, "LCNT_MAX"): {"last_layer": 0}}
    text = RegisterProgram("a", (0,), (0,), settings, {"clock_enable": 1, "fifo": 0}).text()
    assert text.splitlines() == [
        "stage a: quadrants [0], 1 layers",
        "control clock_enable=1",
        "q0 -   LCNT_MAX",
        "q0 L0  RCNT       last=9",
    ]


def test_a_field_that_does_not_fit_is_refused() -> None:
    program = RegisterProgram("a", (0,), (0,), {Key(0, 0, "RCNT"): {"last": 1024}}, {})
    with pytest.raises(ValueError, match=r"last = 1024 does not fit 10 bits"):
        program.encode(DEVICE)


@st.composite
def programs(draw: st.DrawFn) -> tuple[RegisterProgram, ...]:
    """One to four stages that use some quadrants and slots, with small random values, zero among them."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        quadrants = tuple(sorted({0} | draw(st.sets(st.integers(0, 3)))))
        layers = draw(st.integers(1, 3))
        keys = [Key(quadrant, slot, name) for quadrant in quadrants for slot in range(layers) for name in NAMES]
        first = {name: DEVICE.registers[name].fields[0].name for name in NAMES}
        fields = {key: {first[key.name]: draw(st.integers(0, 3))} for key in keys}
        made.append(RegisterProgram(str(number), quadrants, tuple(range(layers)), fields, {}))
    return tuple(made)


class Registers(dict[int, int]):
    """Registers by address; every other one holds junk."""

    def write(self, writes: tuple[BusWrite, ...]) -> None:
        self.update((write.address, write.value) for write in writes)

    def holds(self, wanted: Mapping[Key, int]) -> bool:
        return all(self.get(key.address(DEVICE), -1) == value for key, value in wanted.items())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs(), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_after_any_switches_a_stage_finds_what_it_wants(made: tuple[RegisterProgram, ...], visits: list[int]) -> None:
    """Configured from junk, then switched in any order: every register of the stage has its value, zeros included."""
    states = switching(made, DEVICE)
    path = [visit % len(made) for visit in visits]
    registers = Registers()
    registers.write(states.configure(path[0]))
    assert registers.holds(made[path[0]].encode(DEVICE))
    for before, after in pairwise(path):
        registers.write(states.transition(before, after))
        assert registers.holds(made[after].encode(DEVICE))
        assert registers.holds(states.states[after])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs())
def test_switches_write_nothing_in_vain(made: tuple[RegisterProgram, ...]) -> None:
    """No register that has its value already, none twice, and none that the next stage has no use for."""
    states = switching(made, DEVICE)
    for before in range(len(made)):
        old = {key.address(DEVICE): value for key, value in states.states[before].items()}
        for after in range(len(made)):
            writes = states.transition(before, after)
            assert len({write.address for write in writes}) == len(writes)
            assert all(old[write.address] != write.value for write in writes)
            if len(made) == 2:
                wanted = {key.address(DEVICE) for key in made[after].settings}
                assert {write.address for write in writes} <= wanted
        assert states.transition(before, before) == ()


def test_configure_writes_every_register_that_any_stage_uses() -> None:
    states = lower(place(small_chain(), DEVICE)).switching
    writes = states.configure(0)
    assert len(writes) == len(states.states[0]) == len({write.address for write in writes})
    assert any(write.value == 0 for write in writes)


def test_switches_of_three_stages_lead_on_and_back() -> None:
    shape = Shape(4, 5, 5)
    network = complete(make_network(*(make_layer(shape, 4) for _ in range(4))), DEVICE, no_columns_occupied(DEVICE))
    bounds = [(0, 1), (1, 2), (2, 4)]
    stages = tuple(
        Stage(str(number), slots_of("net", network, network.layers[start:end]), tensor_of("net", end - 1))
        for number, (start, end) in enumerate(bounds)
    )
    states = lower(place(Chain({"net": network}, stages, {"net": True}), DEVICE)).switching
    registers = Registers()
    registers.write(states.configure(0))
    for pair in [(0, 1), (1, 0), (0, 1), (1, 2), (2, 0), (0, 1)]:
        registers.write(states.transition(*pair))
        assert registers.holds(states.states[pair[1]])


def program(**control: int) -> RegisterProgram:
    return RegisterProgram("a", (0, 2), (0,), {}, {"clock_enable": 1, "express": 1, **control})


def controls(writes: tuple[BusWrite, ...]) -> list[tuple[int, dict[str, int]]]:
    """(quadrant, CTRL fields that are not zero) of each write."""
    found = []
    for write in writes:
        there = DEVICE.locate(write.address)
        assert there is not None
        assert there.name == "CTRL"
        fields = DEVICE.registers["CTRL"].decode(write.value)
        found.append((there.quadrant, {name: value for name, value in fields.items() if value}))
    return found


def test_start_arms_the_master_then_the_others_then_starts() -> None:
    running = {"clock_enable": 1, "express": 1}
    assert controls(start_writes(program(), DEVICE)) == [
        (0, running | {"sync_enable": 1}),
        (2, running | {"sync_enable": 1, "enable": 1}),
        (0, running | {"enable": 1}),
    ]
    assert [write.value for write in start_writes(program(), DEVICE)] == [0x100808, 0x100809, 0x100009]


def test_start_with_the_fifo_leaves_the_master_following() -> None:
    """The vendor's values with FIFO and streaming (izer cnn_start)."""
    streaming = replace(program(fifo=1, stream=1, circular=1), quadrants=(0, 1))
    assert [write.value for write in start_writes(streaming, DEVICE)] == [0x18C808, 0x18C809, 0x18C809]


def test_stop_leaves_memory_accessible() -> None:
    running = program(fifo=1, stream=1, pool_round=1)
    assert controls(stop_writes(running, DEVICE)) == [(q, {"clock_enable": 1, "express": 1}) for q in (0, 2)]


def test_init_writes_are_the_vendors() -> None:
    writes = {write.address: write.value for write in init_writes((0, 3), DEVICE)}
    assert writes == {0x50001000: 0, 0x50100000: 0x100008, 0x50100004: 0x40E, 0x50D00000: 0x100008, 0x50D00004: 0x40E}
