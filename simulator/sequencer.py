"""Runs the layers of a start in order, with the streams between streaming layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from offramp.simulator.circles import check_circles, circle
from offramp.simulator.config import Kernel, LayerConfig, Run
from offramp.simulator.cycles import LayerCycles, RunCycles, layer_cycles
from offramp.simulator.decode import decode_layer
from offramp.simulator.depthwise import ChannelKernels, fetch_channel_kernels, run_depthwise
from offramp.simulator.errors import AcceleratorError, field_error
from offramp.simulator.fetch import Kernels, fetch_kernels
from offramp.simulator.forms import form_of
from offramp.simulator.layer import Memories, run_layer
from offramp.simulator.memory import DataMemory
from offramp.simulator.order import Order
from offramp.simulator.registers import RegisterFile
from offramp.simulator.snoop import Action, Unit, read_units, watch
from offramp.simulator.storage import Storage
from offramp.simulator.store import forget_results
from offramp.simulator.streams import check_streams

CACHED_LAYERS = 1024  # decoded layers that are kept between inferences
Frame = Mapping[int, NDArray[np.uint32]]  # quadrant -> words from its FIFO
Version = tuple[int, int]  # of weights and biases
Parameters = TypeVar("Parameters")


class Sequencer:
    """Executes layer slots. Decoded registers and unpacked kernels are kept while what they came from is unchanged."""

    def __init__(self, registers: RegisterFile, storage: Storage, overlap: bool = False) -> None:
        """`overlap`: as in Accelerator."""
        self._registers = registers
        self._device = registers.device
        self._data = storage.data
        self._weights = storage.weights
        self._biases = storage.biases
        self._noise = storage.noise
        self._overlap = overlap
        self._configs: dict[tuple[int, Run, bytes], LayerConfig] = {}
        self._kernels: dict[LayerConfig, tuple[Version, Kernels]] = {}
        self._channels: dict[LayerConfig, tuple[Version, tuple[ChannelKernels, ...]]] = {}
        self._cycles: dict[LayerConfig, LayerCycles] = {}
        self._last: list[LayerConfig] = []
        self._next: int | None = None  # of a run with CTRL.one_shot that has layers left

    def run(self, run: Run, frame: Frame, finished: Callable[[int], None]) -> RunCycles:
        """Execute the layers of a run; `finished(layer)` is called when a layer's results are in memory. With
        CTRL.one_shot it is one layer, and the next start goes on."""
        units = read_units(self._registers, run)
        first = run.first if self._next is None or not run.one_shot else self._next
        order = Order(self._registers, run, {unit.layer for unit in units if unit.does("link")}, first)
        self._last, layers = [], [self._config(layer, run) for layer in order.without_snoop()]
        streams = self._streams(layers, run, frame)
        self._fill(layers[0], streams.get(0, self._data), frame)
        layer: int | None = order.first
        while layer is not None:
            config = self._config(layer, run)
            self._last.append(config)
            source, target = streams.get(layer, self._data), streams.get(layer + 1, self._data)
            self._execute(config, Memories(source, target))
            finished(layer)
            layer = order.following(layer, self._watch(units, config, target, run))
            if run.one_shot:
                break
        self._next = layer
        return self._run_cycles(self._last)

    @property
    def unfinished(self) -> bool:
        """A run with CTRL.one_shot has layers left."""
        return self._next is not None

    def forget(self) -> None:
        """Registers are cleared: the next start begins with the first layer."""
        self._next = None

    def _execute(self, config: LayerConfig, memories: Memories) -> None:
        if config.kernel and config.kernel.depthwise:
            run_depthwise(config, config.kernel, memories, self._channel_kernels(config, config.kernel), self._device)
        else:
            run_layer(config, memories, self._parameters(config), self._device)

    def _watch(self, units: Sequence[Unit], config: LayerConfig, target: DataMemory, run: Run) -> Action:
        watching = [unit for unit in units if unit.layer == config.layer]
        if watching and target is not self._data:
            raise AcceleratorError(
                f"layer {config.layer}: {watching[0].name} watches it; its output streams, not modelled"
            )
        actions = [watch(unit, config, self._data, self._registers, run) for unit in watching]
        return Action(any(action.stop for action in actions), any(action.link for action in actions))

    def spoil(self) -> None:
        """What the last run has written to data memory becomes undefined."""
        for config, following in zip_longest(self._last, self._last[1:]):
            if following is None or not following.streaming:
                forget_results(self._data, config, self._device)

    def _run_cycles(self, layers: list[LayerConfig]) -> RunCycles:
        for config in layers:
            if config not in self._cycles:
                self._cycles[config] = layer_cycles(config, self._device)
        return RunCycles(tuple(self._cycles[config] for config in layers))

    def _config(self, layer: int, run: Run) -> LayerConfig:
        key = (layer, run, self._registers.layer_key(layer))
        config = self._configs.get(key)
        if config is None:
            if len(self._configs) >= CACHED_LAYERS:
                self._configs.clear()
                self._kernels.clear()
                self._channels.clear()
                self._cycles.clear()
            config = self._configs[key] = decode_layer(self._registers, layer, run)
        return config

    def _parameters(self, config: LayerConfig) -> Kernels | None:
        if config.kernel is None:
            return None
        fetch = partial(fetch_kernels, self._weights, self._biases, config, config.kernel)
        return self._up_to_date(self._kernels, config, fetch)

    def _channel_kernels(self, config: LayerConfig, kernel: Kernel) -> tuple[ChannelKernels, ...]:
        fetch = partial(fetch_channel_kernels, self._weights, self._biases, config, kernel, self._device)
        return self._up_to_date(self._channels, config, fetch)

    def _up_to_date(
        self, known: dict[LayerConfig, tuple[Version, Parameters]], config: LayerConfig, fetch: Callable[[], Parameters]
    ) -> Parameters:
        """What was fetched for a layer, again if weights or biases have been written since."""
        version = (self._weights.version, self._biases.version)
        cached = known.get(config)
        if cached is None or cached[0] != version:
            cached = known[config] = (version, fetch())
        return cached[1]

    def _streams(self, layers: list[LayerConfig], run: Run, frame: Frame) -> dict[int, DataMemory]:
        """A buffer in front of each streaming layer, as long as what goes through it.

        The hardware reuses a few words in a circle; as every word is read before it is overwritten, the values are the
        same. The words of the circle themselves are undefined afterwards.
        """
        chw = layers[0].streaming and layers[0].input.parallel
        if run.stream_chw is not None and run.stream_chw != chw:
            what = "streams CHW data" if chw else "does not stream CHW data"
            raise AcceleratorError(f"CTRL.stream_chw is {int(run.stream_chw)}; layer {layers[0].layer} {what}")
        if run.fifo and run.one_shot:
            raise AcceleratorError("CTRL.one_shot and CTRL.fifo are 1; not modelled together")
        if not run.fifo:
            if any(config.streaming for config in layers):
                raise AcceleratorError(
                    "CTRL.stream is 1 with streaming layers (FBUF); CTRL.fifo must be 1 to feed layer 0"
                )
            return {}
        check_streams(layers, run, form_of(self._device).stream)
        streams: dict[int, DataMemory] = {}
        written = max((len(words) for words in frame.values()), default=0)
        for config in layers:
            if config.stream is None or not config.streaming:
                break
            words = config.input.words if config.input.whole else max(config.input.words, written)
            instances = self._device.geometry.instances
            streams[config.layer] = DataMemory(instances, config.input.word + words, self._noise)
            written = config.out_pixels * config.output.pixel_step
        self._forget_circles([config for config in layers if config.layer in streams])
        return streams

    def _forget_circles(self, layers: list[LayerConfig]) -> None:
        if layers and not self._overlap:
            check_circles(layers, self._data.size, self._device)
        for config in layers:
            for instance, words in circle(config, self._device):
                span = slice(words.start, words.stop)
                self._data.forget(slice(instance, instance + 1), span)
                self._data.explain(instance, span, f"is in the circular buffer of layer {config.layer}")

    def _fill(self, first: LayerConfig, memory: DataMemory, frame: Frame) -> None:
        """FIFO words go to the quadrant's first instance, from where layer 0 reads."""
        for quadrant, words in frame.items():
            needed = first.input.words
            if len(words) < needed or (first.input.whole and len(words) != needed):
                raise AcceleratorError(f"quadrant {quadrant}: IFRM.words is {len(words)}; layer 0 reads {needed} words")
            if first.stream and not first.streaming and not first.input.whole and first.stream.start != len(words):
                raise field_error(first.layer, "STRM0.start", first.stream.start, f"IFRM.words is {len(words)}")
            end = first.input.word + len(words)
            if end > memory.size:
                raise field_error(first.layer, "RPTR_BASE.word", first.input.word, f"the frame has {len(words)} words")
            instance = quadrant * self._device.geometry.instances_per_quadrant
            index = np.arange(first.input.word, end)
            memory.write(np.full(len(words), instance), index, words)
