"""Outputs of the layers of a corpus case, compared with the vendor's as soon as they are in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offramp.configs.errors import OfframpError
from offramp.corpus.case_files import Arrays
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.memory import WORD_BYTES


def layers_by_slot(layers: list[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Entries of meta.json's `layers` by their slots: some have an extra slot in front, which resets pooling."""
    resets = np.cumsum([bool(layer.get("avgpool_reset")) for layer in layers]).tolist()
    return {layer["index"] + before: layer for layer, before in zip(layers, resets, strict=True)}


def reset_slots(layers: list[Mapping[str, Any]]) -> set[int]:
    """The extra slots."""
    return {slot - 1 for slot, layer in layers_by_slot(layers).items() if layer.get("avgpool_reset")}


class LayerOutputs:
    """Compares each layer's output in memory with outputs.npz as soon as the layer has run."""

    def __init__(self, accelerator: Accelerator, meta: Mapping[str, Any], outputs: Arrays) -> None:
        self._accelerator = accelerator
        self._outputs = outputs
        self._final_layer = meta["final_layer"]
        self._layers = {layer["index"]: layer for layer in meta["layers"]}
        self._by_slot, self._resets = layers_by_slot(meta["layers"]), reset_slots(meta["layers"])
        self.problems: list[str] = []

    def compare(self, slot: int) -> None:
        if slot in self._resets:
            return
        if slot not in self._by_slot:
            self.problems.append(f"layer {slot} has run, but meta.json does not list it")
            return
        layer = self._by_slot[slot]
        index = layer["index"]
        following = self._layers.get(index + 1)
        if layer["buffer_shift"] is not None or layer["buffer_insert"] is not None:
            return  # outputs.npz holds the rolling buffer, which is not where the layer writes
        streamed = following is not None and following["streaming"] and index != self._final_layer
        if f"out{index}" in self._outputs and not streamed:
            self._check(f"out{index}", index)

    def final(self) -> tuple[str, ...]:
        """The last layer's output, after the whole run."""
        self.problems = []
        if not self._layers.get(self._final_layer, {}).get("executed", True):
            return ()  # a snoop unit has stopped the run before
        if self._final_layer not in self._layers:
            return (f"meta.json does not list its final layer, {self._final_layer}",)
        if "final" in self._outputs:
            self._check("final", self._final_layer)
        return tuple(self.problems)

    def _check(self, name: str, index: int) -> None:
        expected = self._outputs[name]
        expected = expected.reshape(len(expected), -1).astype(np.int64)
        try:
            found = read_output(self._accelerator, self._layers[index], *expected.shape)
        except OfframpError as error:
            self.problems.append(f"{name}: {error}")
            return
        wrong = np.argwhere(found != expected)
        if len(wrong):
            channel, pixel = wrong[0]
            self.problems.append(
                f"{name}: {len(wrong)} of {expected.size} values differ, first channel {channel} pixel {pixel} is "
                f"{found[channel, pixel]}, expected {expected[channel, pixel]}"
            )


def read_output(accelerator: Accelerator, layer: Mapping[str, Any], channels: int, pixels: int) -> NDArray[np.int64]:
    """A layer's output from data memory: int64 (channels, pixels). `layer` is an entry of meta.json's `layers`."""
    device = accelerator.device
    group = device.geometry.processors_per_instance
    map_ = int(layer["output_processors"] or "0", 16)
    enabled = np.array([processor for processor in range(device.geometry.processors) if map_ >> processor & 1])
    expansions = math.ceil(channels / device.geometry.processors)
    threshold = channels if expansions == 1 else math.ceil(math.ceil(channels / expansions) / group) * group
    channel = np.arange(channels)
    if len(enabled) < min(channels, threshold):
        raise OfframpError(f"{channels} channels on {len(enabled)} output processors")
    processor, expansion = enabled[channel % threshold], channel // threshold
    wide = layer["output_width"] == 32
    unit = (layer["write_gap"] + 1) * (group if wide else 1)
    word = layer["out_offset"] // WORD_BYTES + (np.arange(pixels) * expansions + expansion[:, None]) * unit
    lane = (processor % group)[:, None]
    instance = (processor // group)[:, None]
    memory = accelerator.data
    if wide:
        word = word + lane
    if word.max() >= memory.size:
        raise OfframpError(f"lies past word {memory.size - 1} of an instance")
    if wide:
        if not memory.valid[instance, word].all():
            raise OfframpError("some words were never written")
        words: NDArray[np.int64] = memory.words[instance, word].view(np.int32).astype(np.int64)
        return words
    if not memory.valid[instance, word, lane].all():
        raise OfframpError("some bytes were never written")
    values: NDArray[np.int64] = memory.bytes[instance, word, lane].astype(np.int64)
    return values
