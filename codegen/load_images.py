"""What is loaded, once or again before a run: weights and biases as bus traffic; and where inputs and results lie."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from offramp.codegen.firmware import BiasRun, Chunk, InputLayout, InputRun, Tensor, WordRun
from offramp.codegen.pack import Bytes, WeightRun, express_words, merge_runs, pack_bias, pack_weights
from offramp.configs.device import Column, Device, Processor
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.requirements import EXIT_WORD, bias_lead, depthwise_bias
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, ceil_div, quadrants_of, set_bits
from offramp.planner.hardware.weight_memories import copies_of
from offramp.planner.ir.chain import INPUT_TENSOR, Segment, TensorId


def weight_runs(*models: Placed) -> tuple[WeightRun, ...]:
    """All kernel columns of some models that are resident; what they share once."""
    return _runs([(placed, [one.name for one in placed.problem.weights if one.life is None]) for placed in models])


def weight_chunks(*models: Placed) -> tuple[Chunk, ...]:
    """Express loading of `weight_runs`."""
    return _chunks(models[0].requirements.device, weight_runs(*models))


def bias_runs(*models: Placed) -> tuple[BiasRun, ...]:
    """All biases of some models that are resident, one run a layer."""
    return _bias_runs([(placed, [one.name for one in placed.problem.biases if one.life is None]) for placed in models])


def reloaded_chunks(placed: Placed, segment: Segment) -> tuple[Chunk, ...]:
    """Kernels that are written again before a run: those that it is the first to need."""
    return _chunks(placed.requirements.device, _runs([(placed, placed.reloaded_weights(segment))]))


def reloaded_biases(placed: Placed, segment: Segment) -> tuple[BiasRun, ...]:
    """Biases that are written again before a run."""
    return _bias_runs([(placed, placed.reloaded_biases(segment))])


def entry_chunks(placed: Placed) -> tuple[Chunk, ...]:
    """Kernels that are written when a model runs after another one."""
    return _chunks(placed.requirements.device, _runs([(placed, placed.reload.entry_weights if placed.reload else ())]))


def entry_biases(placed: Placed) -> tuple[BiasRun, ...]:
    """Biases that are."""
    return _bias_runs([(placed, placed.reload.entry_biases if placed.reload else ())])


def _runs(layers: Iterable[tuple[Placed, Collection[str]]]) -> tuple[WeightRun, ...]:
    """The kernel columns of some layers of some models."""
    columns: dict[Processor, dict[Column, Bytes]] = {}
    for placed, names in layers:
        for slot in placed.requirements.chain.slots:
            if slot.name in names and slot.name in placed.placement.weights:
                start = placed.placement.weights[slot.name]
                hw = placed.requirements.layer(slot)
                for bank, further in enumerate(copies_of(hw)):
                    for processor, data in pack_weights(hw, bank).items():
                        columns.setdefault(processor, {})[start + further] = data
    return tuple(merge_runs(columns))


def _chunks(device: Device, runs: Iterable[WeightRun]) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(
            address=device.weight_address(run.processor) + run.start * device.express_stride,
            words=express_words(run.data),
            plain=device.weight_address(run.processor) + run.start * device.memories["weights"].word_stride,
            columns=len(run.data),
        )
        for run in runs
    )


def _bias_runs(layers: Iterable[tuple[Placed, Collection[str]]]) -> tuple[BiasRun, ...]:
    runs = []
    for placed, names in layers:
        device = placed.requirements.device
        for slot in placed.requirements.chain.slots:
            hw, stage = placed.requirements.layer(slot), placed.requirements.stage_of[slot.writes]
            for quadrant in range(device.geometry.quadrants):
                place = placed.bias(slot, quadrant)
                name = depthwise_bias(slot.name, quadrant) if hw.layer.depthwise else slot.name
                if place is not None and name in names:
                    data = pack_bias(hw, bias_lead(stage, slot, device), quadrant)
                    runs.append(BiasRun(device.bias_address(quadrant, place.start), data.view(np.int8)))
    return tuple(sorted(runs, key=lambda run: run.address))


def buffer_runs(placed: Placed) -> tuple[WordRun, ...]:
    """Where rolling buffers lie: a run for each of their data memory instances; and the word of a hardware exit."""
    device, tensors = placed.requirements.device, placed.requirements.tensors
    word = placed.placement.data.get(EXIT_WORD)
    own = () if word is None else (WordRun(device.data_address(0, word), 1),)
    return own + tuple(
        WordRun(device.data_address(instance, placed.base(name)), tensors[name].words)
        for name in placed.requirements.chain.buffers
        for instance in tensors[name].instances
    )


def input_layout(placed: Placed) -> InputLayout:
    """Where the application's input goes: to data memory, or through the FIFO."""
    reader = placed.requirements.chain.first_reader
    network = placed.requirements.chain.networks[reader.network]
    hw = placed.requirements.layer(reader)
    device = placed.requirements.device
    base = placed.base(INPUT_TENSOR)
    shape = network.input_shape
    chw = reader.layer.data_format == "CHW"
    runs = _chw_runs(hw, base, device) if chw else _hwc_runs(hw, base, device)
    if network.fifo:
        runs = tuple(_through_fifo(run, device) for run in runs)
    return InputLayout((shape.channels, shape.rows, shape.cols), chw, runs)


def _through_fifo(run: InputRun, device: Device) -> InputRun:
    """The same words to the FIFO port that feeds the quadrant of the run's instance."""
    place = device.locate(run.address)
    assert place is not None
    port = place.quadrant
    full = device.registers["FIFO_STAT"].encode({"full": 1 << port})
    return InputRun(device.register_address(f"FIFO_DATA{port}"), 0, run.channels, full)


def _chw_runs(hw: HwLayer, base: int, device: Device) -> tuple[InputRun, ...]:
    return tuple(
        InputRun(device.data_address(device.instance_of(processor), base), WORD_BYTES, (channel,))
        for channel, processor in enumerate(set_bits(hw.processors))
    )


def _hwc_runs(hw: HwLayer, base: int, device: Device) -> tuple[InputRun, ...]:
    lanes = device.geometry.processors_per_instance
    stride = hw.pixel_words
    words: dict[tuple[int, int], list[int]] = {}
    for operand in range(hw.operands):
        for channel in range(hw.layer.in_shape.channels):
            input_pass, place = divmod(channel, hw.per_pass)
            instance, lane = divmod(set_bits(hw.processors)[place], lanes)
            key = (instance, input_pass * hw.operands + operand)
            words.setdefault(key, [-1] * lanes)[lane] = operand * hw.layer.in_shape.channels + channel
    return tuple(
        InputRun(device.data_address(instance, base + part), WORD_BYTES * stride, tuple(channels))
        for (instance, part), channels in sorted(words.items())
    )


def tensor_layout(placed: Placed, tensor: TensorId) -> Tensor:
    """Where a tensor that a layer writes lies in data memory."""
    device = placed.requirements.device
    hw = placed.requirements.hw[tensor]
    lanes = device.geometry.processors_per_instance
    spread = (hw.layer.write_gap + 1) * hw.word_factor  # words from one output pass to the next
    places = []
    for channel in range(hw.layer.out_shape.channels):
        output_pass, position = divmod(channel, hw.out_per_pass)
        instance, lane = divmod(set_bits(hw.output_processors)[position], lanes)
        word = placed.base(tensor) + output_pass * spread
        if hw.layer.output_width == 32:
            places.append(device.data_address(instance, word + lane))
        else:
            places.append(device.data_address(instance, word) + lane)
    shape = hw.layer.out_shape
    step = hw.expansion * spread * WORD_BYTES
    return Tensor((shape.channels, shape.rows, shape.cols), hw.layer.output_width, step, tuple(places))


def reload_words(placed: Placed, segment: Segment) -> tuple[int, int]:
    """Bus writes (weights, biases) that loading a run's kernels and biases anew would take."""
    column_bytes = placed.requirements.device.memories["weights"].word_bytes
    weights = biases = 0
    for slot in segment.slots:
        hw = placed.requirements.layer(slot)
        if hw.columns:
            weights += hw.processors.bit_count() * (1 + ceil_div(hw.all_columns * column_bytes, WORD_BYTES))
        if hw.bias_bytes:
            quadrants = len(list(quadrants_of(hw.processors, hw.device))) if hw.layer.depthwise else 1
            biases += quadrants * (hw.bias_bytes + bias_lead(segment.stage, slot, hw.device))
    return weights, biases
