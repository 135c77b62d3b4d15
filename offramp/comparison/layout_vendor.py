"""The layout of a corpus case: where the vendor tool's own program puts things.

Kernel blocks are what the layers' counters say (ONED, EN, and MCNT or MCNT1 and MCNT2), biases what POST says, tensors
and cycles what the tool recorded (meta.json); the network itself gives sizes and lifetimes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from offramp.codegen.program import Key
from offramp.comparison.layout_plan import layer_numbers, step_names
from offramp.comparison.layouts import WORD_BYTES, BiasUse, DataUse, LayerUse, Layout, StageUse, WeightUse, sizes_of
from offramp.configs.device import Column, Device
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.corpus.case import Case, load_case
from offramp.corpus.explained import kernel_range
from offramp.corpus.registers import Image, field, vendor_image
from offramp.planner.allocation.requirements import MemoryRequirements, bias_lead, requirements_of
from offramp.planner.hardware.energy import layer_energy
from offramp.planner.ir.chain import INPUT_TENSOR, Slot, TensorId, whole
from offramp.planner.ir.network import Network

WEIGHT_BITS = (8, 1, 2, 4)  # by POST.weight_size
KERNEL_BYTES = 9  # of a 3x3 kernel; 1-D and 1x1 kernels have ONED.width bytes


def layout_of_case(folder: Path, device: Device) -> Layout:
    """The vendor's layout of a case. InputError if a file is missing or the tool recorded no cycles."""
    case = load_case(folder, device)
    meta = case.meta
    if "latency" not in meta:
        raise InputError(
            Diagnostic(Where(str(folder / "meta.json")), "has no `latency`; the tool's cycles are expected")
        )
    _check_layers(case, folder)
    requirements = requirements_of(whole(case.name, case.network), device)
    image = vendor_image(folder, device)
    weights = vendor_weights(image, len(case.network.layers), device)
    latency = meta["latency"]
    return Layout(
        name=case.name,
        kind="vendor's program",
        path=str(folder),
        sizes=sizes_of(device),
        stages=(StageUse(case.name, latency["total"], latency["total_is_estimate"], None, None),),
        layers=_layers(requirements, latency["layers"], kernel_starts(weights)),
        weights=weights,
        biases=_biases(image, requirements),
        data=_data(requirements, meta["layers"]),
        steps=step_names(requirements.chain),
        switches=(),
        mean_cycles=None,
        mean_energy=None,
        accuracy=None,
        points=(),
        points_data="",
        device=device.name,
        unverified=device.cycles == "unverified",
    )


def _check_layers(case: Case, folder: Path) -> None:
    """Damaged if meta.json does not list the network's layers in order, or their cycles."""
    indices = [layer.index for layer in case.network.layers]
    listed = [layer["index"] for layer in case.meta.get("layers", ())][: len(indices)]
    timed = {layer["layer"] for layer in case.meta["latency"]["layers"]}
    if listed != indices or not timed.issuperset(indices):
        message = f"is damaged: `layers` and `latency` of layers 0 to {len(indices) - 1} are expected"
        raise Damaged(Diagnostic(Where(str(folder / "meta.json")), message))


def vendor_weights(image: Image, layers: int, device: Device) -> tuple[WeightUse, ...]:
    """Kernel blocks that the layers' counters run through. Layers with the same kernels share a block."""
    blocks: dict[tuple[int, int, int], list[int]] = {}
    for layer in range(layers):
        maps: dict[tuple[int, int], int] = {}
        for quadrant in range(device.geometry.quadrants):
            enabled = field(image, Key(quadrant, layer, "EN"), "kernels", device)
            if enabled:
                span = _columns(image, Key(quadrant, layer, "ONED"), device)
                maps[span] = maps.get(span, 0) | enabled << quadrant * device.geometry.processors_per_quadrant
        for (start, columns), processors in maps.items():
            blocks.setdefault((processors, start, columns), []).append(layer)
    return tuple(WeightUse(tuple(users), *block) for block, users in blocks.items())


def kernel_starts(weights: Iterable[WeightUse]) -> dict[int, Column]:
    """Start columns of the kernels by layer. Where quadrants differ, the highest."""
    starts: dict[int, Column] = {}
    for block in weights:
        for layer in block.layers:
            starts[layer] = max(block.start, starts.get(layer, 0))
    return starts


def _columns(image: Image, oned: Key, device: Device) -> tuple[int, int]:
    """(first column, number of columns) of a layer's kernels in a quadrant.

    The counter advances by the weight bits per kernel, in units of 8 for the bytes of one kernel (izer
    backend/max7800x.py, "Configure mask count").
    """
    post = oned._replace(name="POST")
    size = field(image, oned, "width", device) or KERNEL_BYTES
    bits = WEIGHT_BITS[field(image, post, "weight_size", device)]
    start, last = kernel_range(image, oned.quadrant, oned.layer, device)
    first = (start >> 3) * size + field(image, oned, "start_byte", device)
    kernels = (last - start) // bits + 1
    end = first + -(-kernels * bits // 8) * size
    column_bytes = device.memories["weights"].word_bytes
    return first // column_bytes, -(-end // column_bytes) - first // column_bytes


def _layers(
    requirements: MemoryRequirements, latency: Iterable[Mapping[str, Any]], starts: Mapping[int, Column]
) -> tuple[LayerUse, ...]:
    chain = requirements.chain
    cycles = {one["layer"]: one for one in latency}
    network: Network = next(iter(chain.networks.values()))
    return tuple(
        LayerUse(
            name=slot.name,
            number=slot.layer.index,
            stage=0,
            cycles=cycles[slot.layer.index]["cycles"],
            estimated=cycles[slot.layer.index]["streaming_estimate"],
            energy=_energy(slot, network, requirements.device, starts),
        )
        for slot in chain.slots
    )


def _biases(image: Image, requirements: MemoryRequirements) -> tuple[BiasUse, ...]:
    """Bias bytes that the layers read, the dummy in front of a streaming first layer's included."""
    device = requirements.device
    (stage,) = requirements.chain.stages
    return tuple(
        BiasUse(
            layer=number,
            quadrant=quadrant,
            start=field(image, Key(quadrant, slot.layer.index, "POST"), "bias_start", device),
            length=requirements.layer(slot).slots + bias_lead(stage, slot, requirements.device),
        )
        for number, slot in enumerate(stage.slots)
        for quadrant in range(device.geometry.quadrants)
        if field(image, Key(quadrant, slot.layer.index, "POST"), "bias_enable", device)
    )


def _data(requirements: MemoryRequirements, layers: list[Mapping[str, Any]]) -> tuple[DataUse, ...]:
    """Tensors at the offsets that the tool recorded."""
    chain = requirements.chain
    numbers = layer_numbers(chain)

    def base(tensor: TensorId) -> int:
        if tensor == INPUT_TENSOR:
            return int(layers[chain.first_reader.layer.index]["in_offset"]) // WORD_BYTES
        return int(layers[chain.producers[tensor].layer.index]["out_offset"]) // WORD_BYTES

    return tuple(
        DataUse(
            name="input" if name == INPUT_TENSOR else f"output of {chain.producers[name].name}",
            layer=None if name == INPUT_TENSOR else numbers[chain.producers[name].name],
            instances=tensor.instances,
            start=base(name) - tensor.lead,
            words=tensor.words,
            first=tensor.first,
            last=tensor.last,
        )
        for name, tensor in requirements.tensors.items()
    )


def _energy(slot: Slot, network: Network, device: Device, starts: Mapping[int, Column]) -> float | None:
    found = layer_energy(slot.layer, network, device, starts.get(slot.layer.index, 0))
    return found.microjoules if found.known else None
