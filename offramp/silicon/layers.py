"""Questions about what a layer may look like: start columns, biases, lanes without a channel, strides, large sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offramp.codegen.program import Key
from offramp.configs.device import Device
from offramp.planner.ir.network import Shape
from offramp.planner.reference.layers import run_network
from offramp.silicon import actions
from offramp.silicon.actions import Steps
from offramp.silicon.networks import Tiny, layer, tiny
from offramp.silicon.specimens import Specimen, checksum, make_specimen
from offramp.silicon.steps import Code, Measurement, Question, Step, copy

Specimens = Mapping[str, Specimen]
MARKER = 0x5A5A5A5A
STRIDES = (5, 6, 8)
NARROW_STRIDE = 3  # UG7456 prints two bits for the stride, minus one


def columns(specimens: Specimens) -> Question:
    """Kernels that start where the vendor's tool does not put them."""
    found = [
        Measurement(f"columns.{name}", _asked(specimens[name].moved(column=column)), same_as=f"control.{name}")
        for name, column in (("conv3x3", 5), ("conv1x1", 3), ("conv1d", 3))
    ]
    one = specimens["quadrants"]
    for label, step in (("aligned", one.device.weight_start_multiple), ("unaligned", 1)):
        shifts = {quadrant: step * quadrant for quadrant in one.program.quadrants}
        found.append(
            Measurement(
                f"columns.{label}",
                _asked(_shifted(one, shifts), actions.load_weights(one, shifts)),
                same_as=f"control.{one.name}",
            )
        )
    return Question(
        "columns",
        "May kernels start at a column that is no multiple of 4, or at another one in each quadrant?",
        "yes; the planner uses multiples of 4, the same in all quadrants",
        tuple(found),
    )


def _asked(one: Specimen, weights: Steps | None = None) -> Steps:
    return (
        *actions.power_on(one.device),
        *(weights or actions.load_weights(one)),
        *actions.load_biases(one),
        *actions.load_input(one),
        *actions.configure(one),
        *actions.run(one),
        *actions.result(one),
    )


def _shifted(one: Specimen, shifts: Mapping[int, int]) -> Specimen:
    """Kernel counters further on by whole columns, by quadrant. For 3x3 kernels, of which one fills a column."""
    changes = {}
    for quadrant, columns in shifts.items():
        old = one.program.settings[Key(quadrant, 0, "MCNT")]
        changes[Key(quadrant, 0, "MCNT")] = {name: value + 8 * columns for name, value in old.items()}
    return one.with_fields(changes)


def flatten_bias(specimens: Specimens) -> Question:
    """Biases of a flattening layer elsewhere, with other values where they would have been."""
    one = specimens["flatten"].moved(bias=12)
    decoy = np.full(12, 50, np.int8)
    steps = (
        *actions.power_on(one.device),
        copy(one.device.bias_address(one.master, 0), decoy.view(np.uint8).tolist()),
        *actions.load(one),
        *actions.configure(one),
        *actions.run(one),
        *actions.result(one),
    )
    outputs = one.tiny.network.layers[0].out_shape.channels
    return Question(
        "flatten-bias",
        "May the biases of a flattening layer start at another byte than 0?",
        "yes; the planner uses it",
        (
            Measurement(
                "flatten-bias.moved",
                steps,
                same_as="control.flatten",
                others={"read from byte 0": (_with_bias(one, decoy[:outputs]),)},
            ),
        ),
    )


def _with_bias(one: Specimen, bias: npt.NDArray[np.int8]) -> int:
    """Checksum of the result with other biases in the only layer."""
    network = replace(one.tiny.network, layers=(replace(one.tiny.network.layers[0], bias=bias),))
    return checksum(tuple(one.words_of(run_network(network, one.tiny.x[None])[0]).values()))


def bias_quadrants(specimens: Specimens) -> Question:
    """Biases enabled in two quadrants."""
    plain = specimens["quadrants"]
    (place,) = plain.placed.placement.biases.values()
    other = next(quadrant for quadrant in plain.program.quadrants if quadrant != place.quadrant)
    one = plain.with_fields({Key(other, 0, "POST"): {"bias_enable": 1, "bias_start": 0}})
    own = plain.tiny.network.layers[0].bias
    assert own is not None
    second = (-(own // 2)).astype(np.int8)
    steps = (
        *actions.power_on(one.device),
        copy(one.device.bias_address(other, 0), second.view(np.uint8).tolist()),
        *actions.load(one),
        *actions.configure(one),
        *actions.run(one),
        *actions.result(one),
    )
    alone = {"only the first quadrant's": (_with_bias(plain, own),), "only the other's": (_with_bias(plain, second),)}
    return Question(
        "bias-quadrants",
        "With biases enabled in two quadrants, what is added?",
        "both; the planner enables those of one",
        (Measurement("bias-quadrants.two", steps, (_with_bias(plain, own + second),), others=alone),),
    )


def lanes(device: Device) -> Question:
    """Bytes of a word that no channel of a layer belongs to."""
    pixels = Shape(8, 6, 6)
    cases = (
        tiny("after", layer(pixels, 5)),
        tiny("before", layer(pixels, 4, output_processors=0b11110)),
        tiny("copied", layer(replace(pixels, channels=2), 0, op="passthrough", pool=(2, 2), pool_stride=2)),
    )
    return Question(
        "lanes",
        "What is written to lanes of a word that have no channel?",
        "lanes behind the last channel keep what they hold; those before the first get 0",
        tuple(_lanes(make_specimen(case, device)) for case in cases),
    )


def _lanes(one: Specimen) -> Measurement:
    """The first word of each instance that has a lane without a channel."""
    hw = one.placed.requirements.layer(one.placed.requirements.chain.slots[0])
    words, masks = one.result(), one.words_of(np.full((1, *_shape(one)), -1, np.int8))
    partial = {one.device.locate(address): address for address in reversed(words) if masks[address] != 0xFFFFFFFF}
    units = {(place.quadrant, place.unit): address for place, address in partial.items() if place}
    addresses = sorted(units.values())
    before = (1 << 8 * (hw.slot_of(0) if hw.weights is not None else 0)) - 1
    first = min(addresses)
    kept = tuple(
        words[address] | MARKER & ~masks[address] & ~(before if address == first else 0) for address in addresses
    )
    steps = (
        *actions.power_on(one.device),
        *actions.load(one),
        *actions.fill(one, MARKER),
        *actions.configure(one),
        *actions.run(one),
        *(Step(Code.READ, address) for address in addresses),
    )
    overwritten = tuple(words[address] for address in addresses)
    unwritten = tuple(words[address] | MARKER & ~masks[address] for address in addresses)
    others = {"0": overwritten, "all kept": unwritten}
    return Measurement(
        f"lanes.{one.name}", steps, kept, others={name: found for name, found in others.items() if found != kept}
    )


def _shape(one: Specimen) -> tuple[int, int, int]:
    shape = one.tiny.network.layers[-1].out_shape
    return shape.channels, shape.rows, shape.cols


def pool_stride(device: Device) -> Question:
    """Strides beyond 4."""
    cases = [
        tiny(f"{stride}", layer(Shape(8, 14, 14), 0, op="passthrough", pool=(2, 2), pool_stride=stride))
        for stride in STRIDES
    ]
    cases.append(tiny("5-average", layer(Shape(8, 14, 14), 8, pool=(3, 3), pool_stride=5, pool_average=True)))
    found = [_stride(make_specimen(case, device)) for case in cases]
    return Question(
        "pool-stride",
        "Does pooling take strides beyond 4?",
        "yes, up to 16, as the vendor's tool does",
        tuple(found),
    )


def _stride(one: Specimen) -> Measurement:
    words = one.result()
    narrow = layer_with_stride(one.tiny, (one.tiny.network.layers[0].pool_stride - 1 & NARROW_STRIDE) + 1)
    found = run_network(narrow.network, one.tiny.x[None])[0]
    channels, rows, cols = _shape(one)
    start = found.reshape(1, channels, -1)[:, :, : rows * cols].reshape(1, channels, rows, cols)
    return Measurement(
        f"pool-stride.{one.name}",
        _asked(one),
        (checksum(tuple(words.values())),),
        others={"only the low two bits count": (checksum(tuple(one.words_of(start).values())),)},
    )


def layer_with_stride(old: Tiny, stride: int) -> Tiny:
    """The same weights and input with another pooling stride."""
    one = old.network.layers[0]
    made = layer(
        one.in_shape,
        one.out_shape.channels,
        op=one.op,
        pool=one.pool,
        pool_stride=stride,
        pool_average=one.pool_average,
        weights=one.weights,
        bias=one.bias,
        inputs=one.inputs,
    )
    return replace(old, network=replace(old.network, layers=(made,)))


def accumulator(device: Device) -> Question:
    """Sums of 4, 6 and 9 taps of equal products, which pass 2^24, 2^25, 2^26 and 2^27."""
    found = []
    for channels in (256, 1024):
        made = tiny(f"{channels}", layer(Shape(channels, 3, 3), 4, output_width=32, output_shift=0), bias=False)
        weights = np.full((4, channels, 3, 3), -128, np.int8)
        network = replace(made.network, layers=(replace(made.network.layers[0], weights=weights),))
        found.append(_sums(make_specimen(replace(made, network=network, x=np.full_like(made.x, -128)), device)))
    return Question(
        "accumulator",
        "What happens to sums beyond 25 bits and a sign (the bus between quadrants has 26)?",
        "nothing: sums are exact",
        tuple(found),
    )


def _sums(one: Specimen) -> Measurement:
    words = one.result()
    steps = (
        *actions.power_on(one.device),
        *actions.load(one),
        *actions.configure(one),
        *actions.run(one),
        *(Step(Code.READ, address) for address in words),
    )
    exact = tuple(words.values())
    others = {}
    for bits in range(25, 29):
        wrapped = tuple(((value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)) & 0xFFFFFFFF for value in exact)
        clipped = tuple(min(value, (1 << bits - 1) - 1) for value in exact)
        others |= {f"wraps at {bits} bits": wrapped, f"saturates at {bits} bits": clipped}
    return Measurement(
        f"accumulator.{one.name}", steps, exact, others={name: found for name, found in others.items() if found != exact}
    )


def bystander(specimens: Specimens) -> Question:
    """Quadrants that take part in a layer although the master does not collect their sums."""
    plain = specimens["quadrants"]
    master = plain.master
    one = plain.with_fields({Key(master, 0, "LCTRL0"): {"sources": 0}})
    x = plain.tiny.x.copy()
    x[one.device.geometry.processors_per_quadrant :] = 0
    alone = checksum(tuple(one.words_of(run_network(plain.tiny.network, x[None])[0]).values()))
    return Question(
        "bystander",
        "What does a quadrant do that computes a layer and is not collected (LCTRL0.sources)?",
        "nothing: it is not used",
        (
            Measurement(
                "bystander.result",
                _asked(one),
                others={"only the master's sums": (alone,), "collected all the same": (_with_bias(plain, _bias(plain)),)},
            ),
        ),
    )


def _bias(one: Specimen) -> npt.NDArray[np.int8]:
    bias = one.tiny.network.layers[0].bias
    assert bias is not None
    return bias
