"""Rules that only the MAX78002 has, each replaced by a plausible mistake; and which of the others it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.mutation_rules import RULES as COMMON
from bench.mutation_rules import Rule
from offramp.configs.device import Device
from offramp.simulator import arithmetic, depthwise, fetch, forms, order, snoop, store
from offramp.simulator.config import Kernel, LayerConfig, Quadrant
from offramp.simulator.form import Image, LayerFields
from offramp.simulator.snoop import Action, Unit
from offramp.simulator.store import Placement
from offramp.simulator.window_form import WINDOW_FORM


def binary_swapped(values: NDArray[np.int8]) -> NDArray[np.int8]:
    return -RIGHT_BINARY(values)


def bias_in_order(config: LayerConfig, kernel: Kernel, quadrant: Quadrant, device: Device) -> Iterator[int]:
    """Biases of a broadcast layer in the order of its channels."""
    for step in range(config.input.passes):
        yield from (16 * step + rank for rank in range(len(quadrant.processors)))


def bias_by_lane(config: LayerConfig, kernel: Kernel, quadrant: Quadrant, device: Device) -> Iterator[int]:
    """Biases of a moving layer by lanes, too."""
    for step in range(config.input.passes):
        yield from (16 * step + p % 16 % 4 * 4 + p % 16 // 4 for p in quadrant.processors)


def one_memory(weights: Any, config: LayerConfig, kernel: Kernel, quadrant: Quadrant) -> Any:
    """Four outputs at once from columns in a row."""
    return RIGHT_PLACES(weights, config, replace(kernel, four_outputs=False), quadrant)


def broadcast_first_instance(config: LayerConfig, writer: Quadrant, device: Device) -> Iterator[Placement]:
    """A broadcast layer writes from WPTR_BASE's instance on."""
    for place in RIGHT_BROADCAST(config, writer, device):
        first = device.split_pointer(writer.write_base)[0]
        moved = (place.instance + first) % device.geometry.instances
        yield Placement(moved, place.word, place.first, place.end, place.lane)


def following_from_last(self: order.Order, layer: int, action: Action = order.NO_ACTION) -> int | None:
    """The run ends with the first layer whose number is not below the last one's."""
    return None if layer >= self._last else RIGHT_FOLLOWING(self, layer, action)


def following_without_links(self: order.Order, layer: int, action: Action = order.NO_ACTION) -> int | None:
    return None if layer == self._last else layer + 1


def following_always_links(self: order.Order, layer: int, action: Action = order.NO_ACTION) -> int | None:
    self._conditional = ()
    return RIGHT_FOLLOWING(self, layer, action)


def bounds_exclusive(self: Unit, compare: str, low: int, high: int) -> tuple[int, int]:
    found = RIGHT_BOUNDS(self, compare, low, high)
    return found if found[0] == found[1] else (found[0] + 1, found[1] - 1)


def first_byte(unit: Unit, config: LayerConfig, memory: Any, instance: int, word: int) -> int:
    value = int(memory.words[instance, word])
    return value & 0xFF if unit.fields["C1"]["width"] == snoop.LAST_BYTE else value


def undilated(layer: int, fields: LayerFields) -> Image:
    return replace(RIGHT_IMAGE(layer, fields), dilation=(1, 1))


def without_gap(layer: int, fields: LayerFields) -> Image:
    image = RIGHT_IMAGE(layer, fields)
    return replace(image, pixel_step=1) if image.pixel_step == 2 else image


RIGHT_BINARY = arithmetic.plus_or_minus_one
RIGHT_PLACES = fetch._places
RIGHT_BROADCAST = store._broadcast
RIGHT_FOLLOWING = order.Order.following
RIGHT_BOUNDS = Unit.bounds
RIGHT_IMAGE = WINDOW_FORM.image

WITHOUT = {"a streaming layer 0 counts biases like any other"}  # what this device does
RULES = (
    *(rule for rule in COMMON if rule.mistake not in WITHOUT),
    Rule("takes binary weights with the other sign", arithmetic, "plus_or_minus_one", binary_swapped),
    Rule("takes biases of a broadcast layer in order", depthwise, "_bias_places", bias_in_order),
    Rule("takes biases of a moving layer by lanes", depthwise, "_bias_places", bias_by_lane),
    Rule("reads four outputs at once from one memory", fetch, "_places", one_memory),
    Rule("writes a broadcast layer to WPTR_BASE's instance", store, "_broadcast", broadcast_first_instance),
    Rule("ends at the first layer that is not below the last", order.Order, "following", following_from_last),
    Rule("ignores links", order.Order, "following", following_without_links),
    Rule("links without a match", order.Order, "following", following_always_links),
    Rule("leaves the ends of a range out", Unit, "bounds", bounds_exclusive),
    Rule("compares the first byte", snoop, "_value", first_byte),
    Rule("ignores the dilation of windows", forms, "FORMS", {"window": replace(WINDOW_FORM, image=undilated)}),
    Rule("ignores read gaps", forms, "FORMS", {"window": replace(WINDOW_FORM, image=without_gap)}),
)
