"""Questions about what a layer writes and computes: lanes without a channel, strides, rounding, large sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from offramp.configs.device import Device
from offramp.planner.ir.network import Shape
from offramp.planner.reference.layers import run_network
from offramp.silicon import actions
from offramp.silicon.networks import Tiny, layer, tiny
from offramp.silicon.specimens import Specimen, checksum, make_specimen
from offramp.silicon.steps import Code, Measurement, Question, Step, Values

Specimens = Mapping[str, Specimen]
MARKER = 0x5A5A5A5A
STRIDES = (5, 6, 8)
NARROW_STRIDE = 3  # UG7456 prints two bits for the stride, minus one


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
        "Results that another stage still needs may lie there.",
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
        "The user guide prints a field of two bits, which could not hold them.",
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
        actions.asked(one),
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


def rounding(device: Device) -> Question:
    """Average pooling of 1-D data with CTRL.pool_round."""
    pooled = {"pool": (2, 1), "pool_stride": 2, "pool_average": True, "kernel": (3, 1), "pad": (1, 0)}
    one = make_specimen(tiny("1-D", layer(Shape(8, 32, 1), 8, op="conv1d", **pooled), avg_pool_rounding=True), device)
    rounded = replace(one.tiny.network, layers=(replace(one.tiny.network.layers[0], op="conv2d"),))
    other = one.words_of(run_network(rounded, one.tiny.x[None])[0])
    return Question(
        "rounding",
        "Does CTRL.pool_round make averages of 1-D data round?",
        "no: they are truncated toward zero, as the vendor's tool computes them",
        "A network trained with rounding gives other answers without.",
        (
            Measurement(
                "rounding.1-D",
                actions.asked(one),
                (checksum(tuple(one.result().values())),),
                others={"they round": (checksum(tuple(other.values())),)},
            ),
        ),
    )


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
        "Wide layers with large weights would get wrong sums; the vendor's tool does not look for that.",
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
    others: dict[str, Values] = {}
    for bits in range(25, 29):
        wrapped = tuple(((value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)) & 0xFFFFFFFF for value in exact)
        clipped = tuple(min(value, (1 << bits - 1) - 1) for value in exact)
        others |= {f"wraps at {bits} bits": wrapped, f"saturates at {bits} bits": clipped}
    return Measurement(
        f"accumulator.{one.name}",
        steps,
        exact,
        others={name: found for name, found in others.items() if found != exact},
    )
