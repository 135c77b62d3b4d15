"""From stages to a placement problem: every weight, bias and activation block of a chain, with its lifetime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, combinations, pairwise

from offramp.configs.device import Device, Word
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.allocation.groups import Group, Tensor, group_of, read_together
from offramp.planner.hardware.cycles import late_start_cycles
from offramp.planner.hardware.hw_layer import (
    AT_ONCE,
    WORD_BYTES,
    HwLayer,
    ceil_div,
    instances_of,
    map_layer,
    passes_of,
    quadrants_of,
)
from offramp.planner.hardware.streaming import stream_of
from offramp.planner.hardware.trailing import trails
from offramp.planner.hardware.weight_memories import copies_of, rooms_of
from offramp.planner.ir.chain import INPUT_TENSOR, Chain, Slot, Stage, TensorId
from offramp.planner.ir.network import ProcessorMap, RollingBuffer
from offramp.planner.placement.problem import BiasBlock, Buffer, Problem, Step, WeightBlock

EXIT_WORD = "exit"  # of the placement


@dataclass(frozen=True, eq=False)
class MemoryRequirements:
    """A chain with every layer in its hardware form and every tensor's place in time."""

    chain: Chain
    device: Device
    hw: Mapping[TensorId, HwLayer]  # by the tensor that the layer writes
    tensors: Mapping[TensorId, Tensor]
    groups: tuple[Group, ...]  # every tensor is in one

    def layer(self, slot: Slot) -> HwLayer:
        return self.hw[slot.writes]

    def quadrants(self, stage: Stage) -> tuple[int, ...]:
        """Quadrants that take part in a stage, in all of its segments. The first one always does: it collects sums and
        writes results. So what lies where does not depend on where a stage is cut."""
        together = self.chain.run_of(stage)
        maps = [self.layer(slot).processors for one in together for slot in one.slots]
        maps += [self.layer(one.slots[-1]).output_processors for one in together]
        return tuple(sorted({0} | {quadrant for bits in maps for quadrant in quadrants_of(bits, self.device)}))

    @cached_property
    def kernels(self) -> dict[str, str]:
        """For every layer with weights, by slot name, the first one with the same kernels: they are stored once."""
        first: dict[tuple[object, ...], str] = {}
        return {
            slot.name: first.setdefault(kernel_key(self.layer(slot)), slot.name)
            for slot in self.chain.slots
            if self.layer(slot).columns
        }

    @cached_property
    def resets(self) -> frozenset[TensorId]:
        """Layers with a slot in front that resets the pooling: those that average right after a layer with operands,
        where the device needs it (izer `avgpool_reset_layer`)."""
        needed = "pool_reset" in self.device.features
        return frozenset(
            slot.writes
            for before, slot in pairwise(self.chain.slots)
            if needed and before.layer.operands > 1 and slot.layer.pool_average and slot.layer.pool != (1, 1)
        )

    def positions(self, slots: Sequence[Slot]) -> tuple[int, ...]:
        """The layer slots of a run's layers, its first slot being 0; in between are those that reset."""
        extra = accumulate(int(slot.writes in self.resets) for slot in slots)
        return tuple(index + before for index, before in enumerate(extra))

    def slot_count(self, slots: Sequence[Slot]) -> int:
        """How many layer slots a run's layers take, those that reset included."""
        return self.positions(slots)[-1] + 1

    @cached_property
    def stage_of(self) -> dict[TensorId, Stage]:
        return {slot.writes: stage for stage in self.chain.stages for slot in stage.slots}


def requirements_of(chain: Chain, device: Device) -> MemoryRequirements:
    """Hardware forms, tensors and lifetimes. InputError where two readers disagree on how a tensor lies in memory."""
    hw = {slot.writes: map_layer(slot.layer, chain.networks[slot.network], device) for slot in chain.slots}
    problems = tuple(_layout_problems(chain, hw))
    if problems:
        raise InputError(problems)
    tensors = {INPUT_TENSOR: _input_tensor(chain, device, hw)} | {
        slot.writes: _output_tensor(chain, device, slot, hw[slot.writes]) for slot in chain.slots
    }
    tensors |= {name: _rolling_tensor(chain, device, name, buffer) for name, buffer in chain.buffers.items()}
    for tensor, words in _buffer_words(chain, hw).items():
        tensors[tensor] = replace(tensors[tensor], words=words)
    groups = tuple(group_of(chain, device, tensors, members) for members in read_together(chain, tensors))
    return MemoryRequirements(chain, device, hw, tensors, groups)


def placement_problem(requirements: MemoryRequirements, overlap: bool = False) -> Problem:
    """The placement problem of a chain. `overlap`: tensors may share words, as the user says."""
    device = requirements.device
    weights, biases = [], []
    kernels = [requirements.layer(slot) for slot in requirements.chain.slots if requirements.layer(slot).columns]
    common = device.common_columns(_union(hw.processors for hw in kernels))
    for slot in requirements.chain.slots:
        hw = requirements.layer(slot)
        if requirements.kernels.get(slot.name) == slot.name:
            users = [other for other in requirements.chain.slots if requirements.kernels.get(other.name) == slot.name]
            networks = requirements.chain.networks
            penalty = sum(late_start_cycles(other.layer, networks[other.network], device) for other in users)
            block = WeightBlock(slot.name, hw.processors, hw.columns, None, slot.layer.where, penalty)
            weights.append(replace(block, rooms=rooms_of(hw, common), copies=copies_of(hw)))
        biases += _bias_blocks(requirements, slot)
    return Problem(
        weights=tuple(weights),
        biases=tuple(biases),
        data=(*(_buffer_of(requirements, group) for group in requirements.groups), *_exit_word(requirements)),
        columns=common,
        start_multiple=device.weight_start_multiple,
        bias_bytes=device.memories["bias"].words,
        data_words=device.memories["data"].words,
        overlaps=_all_pairs(_transient(requirements)) if overlap else _trailing(requirements) | _woven(requirements),
        bias_multiple=bias_multiple(device),
    )


def _exit_word(requirements: MemoryRequirements) -> list[Buffer]:
    """The word of the slot that ends a run at a hardware exit, in the first instance of the first quadrant; nothing
    else may have it, whatever runs."""
    chain = requirements.chain
    _, exit_check = chain.steps
    hardware = any(len(run) > 1 for run in chain.runs)
    return [Buffer(EXIT_WORD, (0,), 1, 0, max(exit_check.values()), kept=True)] if hardware else []


def _bias_blocks(requirements: MemoryRequirements, slot: Slot) -> list[BiasBlock]:
    """The biases of a layer: a block in one of the stage's quadrants or, depthwise, one in each of its own."""
    hw, device = requirements.layer(slot), requirements.device
    stage = requirements.stage_of[slot.writes]
    if not hw.bias_bytes:
        return []
    multiple = bias_multiple(device)
    length = ceil_div(hw.bias_bytes + bias_lead(stage, slot, device), multiple) * multiple
    where = slot.layer.where
    if hw.layer.depthwise:
        quadrants = quadrants_of(hw.processors, device)
        return [BiasBlock(depthwise_bias(slot.name, one), length, (one,), where=where) for one in quadrants]
    at_zero = hw.kind == "flatten" and hw.kernel_passes > device.limits["passes"]
    at_zero = at_zero and "plain_biases" not in device.features
    return [BiasBlock(slot.name, length, requirements.quadrants(stage), at_zero, where)]


def depthwise_bias(layer: str, quadrant: int) -> str:
    """Name of a depthwise layer's bias block in a quadrant."""
    return f"{layer}@{quadrant}"


def bias_multiple(device: Device) -> int:
    """What start and length of bias blocks are a multiple of: where outputs can be computed at once, biases are counted
    in as many."""
    return AT_ONCE if "calcx4" in device.features else 1


def kernel_key(hw: HwLayer) -> tuple[object, ...]:
    """Equal for layers whose kernels are the same columns in the same processors."""
    assert hw.weights is not None
    slots = tuple(hw.slot_of(channel) for channel in range(len(hw.weights)))
    return hw.processors, hw.layer.weight_bits, hw.passes, hw.pixels, slots, hw.weights.shape, hw.weights.tobytes()


def bias_lead(stage: Stage, slot: Slot, device: Device) -> int:
    """Dummy bias bytes in front of a layer's own: on some devices a streaming layer 0 counts one ahead (izer
    kbias.py)."""
    ahead = slot is stage.slots[0] and slot.layer.streaming and "plain_biases" not in device.features
    return 1 if ahead else 0


def _layout_problems(chain: Chain, hw: Mapping[TensorId, HwLayer]) -> list[Diagnostic]:
    """Tensors whose readers expect them on other processors than they are written to."""
    problems = []
    source = chain.first_reader
    for slot in chain.slots:
        layer = slot.layer
        alone = set(slot.reads) == {INPUT_TENSOR}
        if INPUT_TENSOR in slot.reads and (
            layer.data_format != source.layer.data_format or (alone and layer.processors != source.layer.processors)
        ):
            found = f"{slot.name} reads the input as {layer.data_format} on processors {layer.processors:#x}"
            wanted = f"{source.name} reads it as {source.layer.data_format} on {source.layer.processors:#x}"
            problems.append(Diagnostic(layer.where, f"{found}; {wanted}: all readers must agree"))
        if slot.layer.source:
            continue  # the processors of its buffer, by a rule
        places = [
            source.layer.processors if tensor == INPUT_TENSOR else hw[tensor].output_processors for tensor in slot.reads
        ]
        written = _union(places)
        if not alone and written != layer.processors:
            found = f"{slot.name} reads processors {layer.processors:#018x}"
            problems.append(Diagnostic(layer.where, f"{found}, but its input is written to {written:#018x}"))
    return problems


def _life(chain: Chain, tensor: TensorId) -> tuple[Step, Step]:
    """First and last step of a tensor. Layers that stream run all at once: what lives while one of them runs lives
    through all that stream in the same stage."""
    written, exit_check = chain.steps
    uses = [written[slot.writes] for slot in chain.readers(tensor)]
    # Of a hardware exit until the core looks, which is at the end of the run, whatever stage that ends with.
    uses += [exit_check[chain.run_of(stage)[-1].name] for stage in chain.stages if stage.result == tensor]
    if tensor != INPUT_TENSOR and chain.producers[tensor].layer.output:
        uses.append(exit_check[next(s.name for s in chain.stages if chain.producers[tensor] in s.slots)])
    first, last = written[tensor], max([written[tensor], *uses])
    for stage in chain.stages:
        streaming = [written[slot.writes] for slot in stage.slots if slot.layer.streaming]
        if streaming and first <= streaming[-1] and last >= streaming[0]:
            first, last = min(first, streaming[0]), max(last, streaming[-1])
    return first, last


def _input_tensor(chain: Chain, device: Device, hw: Mapping[TensorId, HwLayer]) -> Tensor:
    reader = chain.first_reader
    layer = hw[reader.writes]
    first, last = _life(chain, INPUT_TENSOR)
    # The input's place is part of the interface to the application: byte 0 unless the YAML says otherwise.
    offset = max(0, (reader.layer.in_offset or 0) // WORD_BYTES - layer.cropped_words[0])
    words = layer.input_words + sum(layer.cropped_words)
    return Tensor(INPUT_TENSOR, layer.processors, instances_of(layer.processors, device), words, 0, first, last, offset)


def _rolling_tensor(chain: Chain, device: Device, name: TensorId, buffer: RollingBuffer) -> Tensor:
    """A rolling buffer lives for ever: from the loading of the input to the last check of an exit, and on."""
    _, exit_check = chain.steps
    words = buffer.shape.pixels * passes_of(buffer.shape.channels, device)[0]
    kept = buffer.offset is not None and chain.keep_offsets[name.split(":")[0]]
    offset = buffer.offset // WORD_BYTES if kept and buffer.offset is not None else None
    instances = instances_of(buffer.processors, device)
    return Tensor(name, buffer.processors, instances, words, 0, 0, max(exit_check.values()), offset)


def _output_tensor(chain: Chain, device: Device, slot: Slot, layer: HwLayer) -> Tensor:
    first, last = _life(chain, slot.writes)
    base = device.instance_of(layer.first_slot)
    top = device.instance_of(layer.output_processors.bit_length() - 1)
    instances = tuple(range(base, top + 1))
    if layer.kind == "passthrough" or layer.layer.depthwise:
        instances = instances_of(layer.output_processors, device)
    kept = chain.keep_offsets[slot.network] and slot.layer.out_offset is not None and slot.into is None
    offset = slot.layer.out_offset // WORD_BYTES if kept and slot.layer.out_offset is not None else None
    return Tensor(
        slot.writes, layer.output_processors, instances, layer.output_words, layer.surplus, first, last, offset
    )


def _buffer_words(chain: Chain, hw: Mapping[TensorId, HwLayer]) -> dict[TensorId, int]:
    """Words of the tensors that streaming layers read: those of a circular buffer, unless another stage, which is sent
    the input again, reads more of it at a time."""
    buffers: dict[TensorId, int] = {}
    for stage in chain.stages:
        layers = [hw[slot.writes] for slot in stage.slots]
        for index, slot in enumerate(stage.slots):
            if slot.layer.streaming:
                words = stream_of(layers, index).words
                buffers |= {tensor: max(words, buffers.get(tensor, 0)) for tensor in slot.reads}
    whole = [hw[slot.writes].input_words for slot in chain.readers(INPUT_TENSOR) if not slot.layer.streaming]
    if INPUT_TENSOR in buffers:
        buffers[INPUT_TENSOR] = max(buffers[INPUT_TENSOR], *whole, 0)
    return buffers


def _buffer_of(requirements: MemoryRequirements, group: Group) -> Buffer:
    members = [requirements.tensors[tensor] for tensor in group.tensors]
    placed = list(zip(members, group.starts, strict=True))
    offsets = [member.offset - start for member, start in placed if member.offset is not None]
    producer = requirements.chain.producers.get(group.tensors[0])
    rolling = next(
        (requirements.chain.buffers[name] for name in group.tensors if name in requirements.chain.buffers), None
    )
    where = producer.layer.where if producer else requirements.chain.first_reader.layer.where
    where = rolling.where if rolling else where
    if len(set(offsets)) > 1:
        message = f"`out_offset`s of {group.name} do not fit together; one layer reads them side by side: "
        message += "state what that layer reads, or `offsets: free` in the spec"
        raise InputError(Diagnostic(where, message))
    return Buffer(
        name=group.name,
        instances=tuple(sorted({instance for member in members for instance in member.instances})),
        words=max(start - member.lead + member.words for member, start in placed),
        first=min(member.first for member in members),
        last=max(member.last for member in members),
        offset=offsets[0] if offsets else None,
        where=where,
        kept=rolling is not None,
    )


def _union(maps: Iterable[ProcessorMap]) -> ProcessorMap:
    found = 0
    for processors in maps:
        found |= processors
    return found


def _trailing(requirements: MemoryRequirements) -> frozenset[frozenset[str]]:
    """Pairs of tensors that may share words because the second is written where the first has been read already: what a
    layer alone reads and nothing needs afterwards, and its output, if the YAML places both."""
    pairs = set()
    single = {group.tensors[0] for group in requirements.groups if len(group.tensors) == 1}
    for slot in requirements.chain.slots:
        source = requirements.tensors[slot.reads[0]]
        written = requirements.tensors[slot.writes]
        if not {source.id, written.id} <= single:
            continue
        alone = source.last == written.first and len(requirements.chain.readers(source.id)) == 1
        placed = alone and source.offset is not None and written.offset is not None
        if placed and trails(requirements.layer(slot), source.offset or 0, written.offset or 0):
            pairs.add(frozenset((source.id, written.id)))
    return frozenset(pairs)


def _woven(requirements: MemoryRequirements) -> frozenset[frozenset[str]]:
    """Pairs of tensors that the YAML places in each other's write gaps, where one of them is read with a gap."""
    gaps = any(slot.layer.read_gap for slot in requirements.chain.slots)
    placed = {}
    for slot in requirements.chain.slots if gaps else ():
        offset = requirements.tensors[slot.writes].offset
        if slot.layer.write_gap and offset is not None:
            placed[slot.writes] = _written_words(requirements.layer(slot), offset)
    return frozenset(
        frozenset((one, other)) for one, other in combinations(placed, 2) if not placed[one] & placed[other]
    )


def _written_words(hw: HwLayer, base: Word) -> set[Word]:
    """Words of each instance that a layer writes, from `base` on."""
    step = hw.word_factor * (hw.layer.write_gap + 1)
    words = range(hw.out_rows * hw.out_cols * hw.expansion)
    return {base + step * word + part for word in words for part in range(hw.word_factor)}


def _transient(requirements: MemoryRequirements) -> list[str]:
    """Groups that hold nothing from one inference to the next."""
    buffers = set(requirements.chain.buffers)
    return [group.name for group in requirements.groups if not buffers & set(group.tensors)]


def _all_pairs(names: Sequence[str]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair) for pair in combinations(names, 2))
