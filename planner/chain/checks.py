"""What stages and networks of a chain must have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ir.chain import Stage
from offramp.planner.ir.network import Network
from offramp.planner.spec.spec import ManualSpec


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


def check_inputs(spec: ManualSpec, networks: Mapping[str, Network], used: set[str]) -> None:
    shapes = {name: networks[name].input_shape for name in used}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"`{name}` {shape}" for name, shape in sorted(shapes.items()))
        raise InputError(Diagnostic(spec.where, f"all networks read the same input, but its shape differs: {found}"))
    entries = [spec.networks[stage.network] for stage in spec.stages]
    other = next((entry for entry in entries if entry.fifo != entries[0].fifo), None)
    if other:
        fifo, memory = (entries[0], other) if entries[0].fifo else (other, entries[0])
        found = f"`{fifo.name}` takes the input from the FIFO, `{memory.name}` from data memory"
        raise InputError(Diagnostic(other.where, f"{found}; all networks need the same `fifo`"))


def check_results(spec: ManualSpec, stages: Sequence[Stage], networks: Mapping[str, Network]) -> None:
    """All exits answer the same question: one logit a class, in as many classes."""
    problems = []
    slots = {slot.writes: slot for stage in stages for slot in stage.slots}
    classes = slots[stages[-1].slots[-1].writes].layer.out_shape
    for stage, entry in zip(stages, spec.stages, strict=True):
        shape = slots[stage.result].layer.out_shape
        if shape.pixels != 1 or shape.channels < 2:
            problems.append(
                Diagnostic(entry.where, f"stage `{stage.name}` gives {shape}; one logit a class is expected")
            )
        elif shape != classes:
            message = f"stage `{stage.name}` has {shape.channels} classes, the last stage {classes.channels}"
            problems.append(Diagnostic(entry.where, message))
        last = slots[stage.result].layer
        if last.activation != "none":
            problems.append(Diagnostic(last.where, f"layer `{last.label}` makes logits; `activate: None` is expected"))
    if spec.labels and len(spec.labels) != classes.channels:
        problems.append(Diagnostic(spec.places["labels"], f"{len(spec.labels)} labels for {classes.channels} classes"))
    unused = set(spec.networks) - set(networks) - set(spec.compare)
    problems += [Diagnostic(spec.networks[name].where, f"network `{name}` is in no stage") for name in sorted(unused)]
    if problems:
        raise InputError(problems)
