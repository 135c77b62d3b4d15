"""What stages and networks of a chain must have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.chain.answers import class_labels, own_labels
from offramp.planner.ir.chain import INPUT_TENSOR, ExitStage
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.ir.network import INPUT, Layer, Network
from offramp.planner.spec.spec import ManualSpec, StageSpec

WORD_BITS = 32


def check_heads(spec: ManualSpec, used: Collection[str]) -> None:
    """A network's weights are resident once and its tensors have one place: it can have one part in the chain only."""
    heads = [stage.head for stage in spec.stages if stage.head and stage.head.network]
    names = [head.network for head in heads]
    problems = [
        Diagnostic(
            head.where, f"network `{head.network}` has another part in the chain already; a head belongs to one stage"
        )
        for position, head in enumerate(heads)
        if head.network in used or head.network in names[:position]
    ]
    if problems:
        raise InputError(problems)


def check_gap(stage: StageSpec, head: Network, cut: Layer) -> None:
    """A head reads the words of a tensor one after the other; operands of a later element-wise layer have others in
    between. InputError if a head reads such a tensor, the output of layer `cut`."""
    if cut.write_gap and cut.out_shape.pixels > 1:
        layer = head.consumers(INPUT)[0]
        found = f"layer `{layer.label}` of the head of stage `{stage.name}` reads what `{cut.label}` writes"
        why = f"that is written with gaps (`write_gap: {cut.write_gap}`), for a layer that reads it as an operand"
        raise InputError(Diagnostic(layer.where, f"{found}; {why}: cut elsewhere, or copy it for the head"))


def check_inputs(spec: ManualSpec, networks: Mapping[str, Network], used: set[str]) -> None:
    shapes = {name: networks[name].input_shape for name in used}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"`{name}` {shape}" for name, shape in sorted(shapes.items()))
        hint = "a network reads some rows of it with `in_crop`, and fewer pixels by pooling in its first layer"
        message = f"all networks read the same input, but its shape differs: {found}; {hint}"
        raise InputError(Diagnostic(spec.where, message))
    entries = [spec.networks[stage.network] for stage in spec.stages]
    other = next((entry for entry in entries if entry.fifo != entries[0].fifo), None)
    if other:
        fifo, memory = (entries[0], other) if entries[0].fifo else (other, entries[0])
        found = f"`{fifo.name}` takes the input from the FIFO, `{memory.name}` from data memory"
        raise InputError(Diagnostic(other.where, f"{found}; all networks need the same `fifo`"))


def check_buffers(spec: ManualSpec, stages: Sequence[ExitStage]) -> None:
    """Rolling buffers are written as a whole or not at all, and see every input unless the spec says otherwise
    (docs/decisions/0015-state-and-exits.md)."""
    problems = []
    writers = [[slot for slot in stage.slots if slot.into] for stage in stages]
    for buffer in dict.fromkeys(slot.into for slots in writers for slot in slots):
        (first, *more) = [index for index, slots in enumerate(writers) if buffer in [slot.into for slot in slots]]
        stage, entry = stages[first], spec.stages[first]
        slot = next(slot for slot in writers[first] if slot.into == buffer)
        name = f"data buffer `{slot.layer.target.buffer if slot.layer.target else ''}`"
        network = spec.networks.get(slot.network, spec.networks[entry.network])
        if more:
            message = f"{name} is written in stage `{stage.name}` and in stage `{stages[more[0]].name}`"
            cure = "an input that leaves in between would leave it half written: cut in front of these layers or behind"
            problems.append(Diagnostic(entry.where, f"{message}; {cure}"))
        elif first and not network.may_miss_inputs:
            message = f"{name} of stage `{stage.name}` misses the inputs that leave at `{stages[0].name}`"
            last = next(one for one in reversed(writers[first]) if one.into == buffer)
            cure = f"cut behind layer `{last.layer.label}`, so that it sees all of them"
            choice = f"`buffer_inputs: reached` for network `{network.name}`, if it is to see the others only"
            problems.append(Diagnostic(entry.where, f"{message}: {cure}; or {choice}"))
        elif any(not earlier.rule.known for earlier in stages[:first]):
            message = f"{name} sees the inputs that reach stage `{stage.name}`, which the thresholds before decide"
            cure = "state these thresholds: they cannot be chosen by answers that depend on them"
            problems.append(Diagnostic(entry.where, f"{message}: {cure}"))
    if problems:
        raise InputError(problems)


def check_results(spec: ManualSpec, stages: Sequence[ExitStage], networks: Mapping[str, Network]) -> None:
    """All stages answer the same question: early ones give one logit a class, and what their classes mean is known. The
    last one may give any tensor."""
    slots = {slot.writes: slot for stage in stages for slot in stage.slots}
    count = len(spec.answers) or (slots[stages[-1].result].layer.out_shape.channels if stages[-1].exit else 1)
    problems: list[Diagnostic] = []
    for stage, entry in zip(stages, spec.stages, strict=True):
        problems += _check_result(spec, stage, entry, slots[stage.result].layer, count)
    if spec.labels and (stages[-1].exit is None or len(spec.labels) != count):
        found = (
            f"{count} classes" if stages[-1].exit else f"a stage that gives {slots[stages[-1].result].layer.out_shape}"
        )
        problems.append(Diagnostic(spec.places["labels"], f"{len(spec.labels)} labels for {found}"))
    unused = set(spec.networks) - set(networks) - set(spec.compare)
    problems += [Diagnostic(spec.networks[name].where, f"network `{name}` is in no stage") for name in sorted(unused)]
    if problems:
        raise InputError(problems)


def _check_result(
    spec: ManualSpec, stage: ExitStage, entry: StageSpec, layer: Layer, count: int
) -> Iterator[Diagnostic]:
    """`layer`: that makes the result; `count`: of all answers."""
    last = entry is spec.stages[-1]
    if stage.exit and layer.activation != "none":
        hint = "; a result that is none of logits has one answer (`answers: NAME`)" if last else ""
        found = f"layer `{layer.label}` makes logits; `activate: None` is expected{hint}"
        yield Diagnostic(layer.where, found)
    if stage.exit is None and not last:
        message = f"stage `{stage.name}` gives {layer.out_shape}; one logit a class is expected"
        yield Diagnostic(entry.where, message)
    classes = stage.exit.classes(layer.out_shape.channels) if stage.exit else 0
    labels = class_labels(spec, entry)
    its_own = entry.answers or own_labels(spec, entry)  # else `labels` of the spec, checked as such
    if stage.exit and labels and its_own and len(labels) != classes:
        yield Diagnostic(entry.where, f"stage `{stage.name}` has {classes} classes, but {len(labels)} names for them")
    if stage.exit and not stage.answers and classes != count:
        gate = " and a gate" if classes < layer.out_shape.channels else ""
        found = f"stage `{stage.name}` has {classes} classes{gate}, the last stage {count}"
        yield Diagnostic(entry.where, f"{found}; `answers` says what classes mean")


HARDWARE_EXITS = 2  # of a chain: as many as there are snoop units


def check_hardware(spec: ManualSpec, stages: Sequence[ExitStage], networks: Mapping[str, Network]) -> None:
    """What a snoop unit can look at, and what stages of one run must have in common."""
    decided = [index for index, stage in enumerate(stages) if stage.hardware]
    problems = []
    for index in decided:
        where = spec.stages[index].exit.where
        problems += [
            Diagnostic(where, f"the hardware exit of stage `{stages[index].name}`: {message}")
            for message in _unsuited(spec, stages, networks, index)
        ]
    if len(decided) > HARDWARE_EXITS:
        where = spec.stages[decided[HARDWARE_EXITS]].exit.where
        problems.append(Diagnostic(where, f"{len(decided)} hardware exits; there are {HARDWARE_EXITS} snoop units"))
    if problems:
        raise InputError(problems)


def _unsuited(
    spec: ManualSpec, stages: Sequence[ExitStage], networks: Mapping[str, Network], index: int
) -> Iterator[str]:
    """What is wrong with a hardware exit of stage `index`, behind which the next one runs without the core."""
    stage, after = stages[index], stages[index + 1]
    final = next(slot.layer for slot in stage.slots if slot.writes == stage.result)
    if stage.rule.classes(final.out_shape.channels) < 2:
        yield f"its result is {final.out_shape}: two classes at least and, behind them, the gate are expected"
    if final.output_width != WORD_BITS:
        yield f"its logits have {final.output_width} bits; `output_width: {WORD_BITS}` is expected"
    if stage.slots[-1].writes != stage.result:
        yield "its logits are not what its last layer writes"
    if NO_ANSWER in stage.answers:
        yield "some of its classes mean no answer; a snoop unit does not see which class is the surest"
    if spec.reload:
        yield "with `reload`, weights are written between stages, which takes the core"
    if any(networks[slot.network].fifo for one in (stage, after) for slot in one.slots):
        yield "the input comes through the FIFO, which the core fills"
    if any(INPUT_TENSOR in slot.reads and slot.layer.data_format == "CHW" for slot in after.slots):
        yield "the next stage reads the input as CHW, as only the first layer of a run can; HWC is needed in both"
    first, second = ({networks[slot.network].avg_pool_rounding for slot in one.slots} for one in (stage, after))
    if first != second:
        yield "the next stage rounds otherwise (`avg_pool_rounding`), which is one setting of a run"
    binary = [{slot.layer.binary for slot in one.slots if slot.layer.weight_bits == 1} for one in (stage, after)]
    if len(binary[0] | binary[1]) > 1:
        yield "the next stage has weights of 1 bit that mean something else, which is one setting of a run"
