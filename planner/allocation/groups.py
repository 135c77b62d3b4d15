"""Tensors in data memory, and which of them lie at fixed distances from each other because one layer reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from offramp.configs.device import Device, Word
from offramp.planner.hardware.hw_layer import passes_of
from offramp.planner.ir.chain import INPUT_TENSOR, Chain, Slot, TensorId
from offramp.planner.ir.network import ProcessorMap, Shape
from offramp.planner.placement.problem import Step


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor in data memory. `words` from the first to the last word used, `lead` of them before the base address."""

    id: TensorId
    processors: ProcessorMap
    instances: tuple[int, ...]
    words: int
    lead: int
    first: Step
    last: Step
    offset: Word | None  # of the base address, if the YAML gives it


@dataclass(frozen=True)
class Group:
    """Tensors at fixed distances from each other. `starts`: their base addresses, in words above the lowest word that
    any of them uses."""

    tensors: tuple[TensorId, ...]
    starts: tuple[Word, ...]

    @property
    def name(self) -> str:
        return "+".join(self.tensors)


def read_together(chain: Chain, tensors: Mapping[TensorId, Tensor]) -> tuple[tuple[TensorId, ...], ...]:
    """Tensors that one layer reads together form a group, whether side by side, in turn or one behind the other: it
    finds them all from one address on. So do a rolling buffer and what is written to it. Every other tensor is its
    own."""
    together = {tensor: frozenset((tensor,)) for tensor in tensors}
    for slot in chain.slots:
        first, *others = (slot.into, slot.writes) if slot.into else slot.reads
        for other in others:
            merged = together[first] | together[other]
            together |= {member: merged for member in merged}
    for group in set(together.values()):
        if _lie_apart([tensors[tensor] for tensor in group]):
            together |= {tensor: frozenset((tensor,)) for tensor in group}
    unique = dict.fromkeys(together[tensor] for tensor in tensors)
    return tuple(tuple(tensor for tensor in tensors if tensor in group) for group in unique)


def _lie_apart(members: Sequence[Tensor]) -> bool:
    """The YAML gives all tensors of a group the same place in instances of their own: each lives for its own time."""
    instances = [instance for member in members for instance in member.instances]
    same = len({member.offset for member in members}) == 1 and members[0].offset is not None
    return same and len(set(instances)) == len(instances)


def group_of(chain: Chain, device: Device, tensors: Mapping[TensorId, Tensor], members: tuple[TensorId, ...]) -> Group:
    distances = _distances(chain, device, tensors, members)
    lowest = min(start - tensors[tensor].lead for tensor, start in zip(members, distances, strict=True))
    return Group(members, tuple(start - lowest for start in distances))


def _distances(
    chain: Chain, device: Device, tensors: Mapping[TensorId, Tensor], members: tuple[TensorId, ...]
) -> tuple[int, ...]:
    """Base address of each member of a group, in words, relative to the first member's.

    Operands of an element-wise layer, and passes of a concatenation beyond 64 channels, lie in neighbouring words. With
    offsets in the YAML the distances are those of the YAML.
    """
    if any(tensor in chain.buffers for tensor in members):
        return tuple(_place_in_buffer(chain, device, tensor) for tensor in members)
    offsets = [tensors[tensor].offset for tensor in members]
    if all(offset is not None for offset in offsets):
        return tuple((offset or 0) - (offsets[0] or 0) for offset in offsets)
    known = {members[0]: 0}
    readers = [slot for slot in chain.slots if len(set(members) & set(slot.reads)) > 1]
    while len(known) < len(members):
        reader = next(slot for slot in readers if set(slot.reads) & set(known) and set(slot.reads) - set(known))
        own = _read_distances(chain, reader, device)
        anchor = next(tensor for tensor in reader.reads if tensor in known)
        known = {tensor: known[anchor] + own[tensor] - own[anchor] for tensor in reader.reads} | known
    return tuple(known[tensor] for tensor in members)


def _read_distances(chain: Chain, reader: Slot, device: Device) -> dict[TensorId, int]:
    """Where a layer expects its inputs, relative to the first: operands and passes in neighbouring words, inputs joined
    along the pixels one behind the other."""
    if reader.layer.join == "pixels":
        passes = passes_of(reader.layer.in_shape.channels, device)[0]
        ends = accumulate(passes * _shape(chain, tensor).pixels for tensor in reader.reads)
        return dict(zip(reader.reads, (0, *ends), strict=False))
    interleaved = reader.layer.operands > 1 or passes_of(reader.layer.in_shape.channels, device)[0] > 1
    return {tensor: position if interleaved else 0 for position, tensor in enumerate(reader.reads)}


def _shape(chain: Chain, tensor: TensorId) -> Shape:
    if tensor == INPUT_TENSOR:
        return chain.networks[chain.first_reader.network].input_shape
    return chain.producers[tensor].layer.out_shape


def _place_in_buffer(chain: Chain, device: Device, tensor: TensorId) -> Word:
    """Words from the start of a rolling buffer to a tensor that is written into it, or to the buffer itself."""
    if tensor in chain.buffers:
        return 0
    slot = chain.producers[tensor]
    assert slot.into and slot.layer.target
    return slot.layer.target.first * passes_of(chain.buffers[slot.into].shape.channels, device)[0]
