"""From a spec to a chain of stages: networks loaded, cut where the spec says, heads attached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.planner.allocation.requirements import placement_problem, requirements_of
from offramp.planner.chain.answers import answers_of, thresholds_of
from offramp.planner.chain.assign_jointly import Maps, Part, maps_together
from offramp.planner.chain.assign_processors import ColumnOccupancy, complete, no_columns_occupied
from offramp.planner.chain.checks import (
    check_buffers,
    check_gap,
    check_hardware,
    check_heads,
    check_inputs,
    check_results,
)
from offramp.planner.chain.ends import answering, answering_layers, needed, select
from offramp.planner.chain.sources import NetworkSource, Sources, load
from offramp.planner.ir.chain import Chain, ExitRule, ExitStage, Slot, TensorId, head_slots, slots_of, tensor_of
from offramp.planner.ir.cuts import boundaries, legal_cuts
from offramp.planner.ir.measure import HARDWARE
from offramp.planner.ir.network import INPUT, Layer, Network, ProcessorMap
from offramp.planner.placement.answer import Found, Impossible
from offramp.planner.placement.columns import weights_fit
from offramp.planner.reference.confidence import gives_logits, to_q16, to_threshold
from offramp.planner.spec.spec import BranchSpec, ExitSpec, HeadSpec, ManualSpec, NetworkSpec, StageSpec

NO_OTHER = "no other choice of the freed processors fits either"
OTHER_UNDECIDED = "whether another choice of the freed processors fits is undecided"


@dataclass(frozen=True, eq=False)
class Branch:
    """A stage's network, its `backbone`: the layers that are `kept` when those of heads are taken out, and those heads
    by stage name."""

    network: Network
    kept: tuple[int, ...]
    backbone: Network
    heads: Mapping[str, tuple[str, Network]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """What has been chosen before a head is completed: kernels on processors, and maps of tensors by network."""

    sources: Sources
    device: Device
    occupied: ColumnOccupancy
    maps: Maps


def build_chain(spec: ManualSpec, sources: Sources, device: Device, occupied: ColumnOccupancy | None = None) -> Chain:
    """Lay out the stages of a spec, whose files have been read. Open thresholds stay None. InputError with all that is
    wrong.

    Processors that a YAML leaves open are chosen here: layer by layer, and all together if the spec frees some and the
    weights do not fit then. `occupied`: columns that other models of the image take.
    """
    chain = _build(spec, sources, device, {}, occupied)
    if all(entry.keep_processors for entry in spec.networks.values()):
        return chain
    problem = placement_problem(requirements_of(chain, device))
    if weights_fit(problem):
        return chain
    found = maps_together(_parts(spec, sources, device), problem, device, chain.first_reader.layer.processors)
    if isinstance(found, Found):
        return _build(spec, sources, device, found.value)
    return replace(chain, remark=NO_OTHER if isinstance(found, Impossible) else OTHER_UNDECIDED)


def freed_processors(
    spec: ManualSpec, sources: Sources, device: Device, occupied: ColumnOccupancy | None = None
) -> Iterator[tuple[str, Callable[[], Chain]]]:
    """How the spec could free processors to give the planner more room, and the chain with that."""
    kept = [name for name, entry in spec.networks.items() if entry.keep_processors and name not in spec.compare]
    for names in [[name] for name in kept] + ([kept] if len(kept) > 1 else []):
        freed = {name: replace(spec.networks[name], keep_processors=False) for name in names}
        changed = replace(spec, networks={**spec.networks, **freed})
        yield f"`processors: free` for {' and '.join(names)}", partial(build_chain, changed, sources, device, occupied)


def _parts(spec: ManualSpec, sources: Sources, device: Device) -> list[Part]:
    """The networks of all stages, each with the heads that are networks of their own, before processors are chosen."""
    parts = []
    for name in dict.fromkeys(stage.network for stage in spec.stages):
        network = load(spec.networks[name], sources[name], device)
        heads = []
        for stage in spec.stages:
            if stage.network == name and stage.branch and stage.branch.head.network:
                cut = _find(network, stage.branch.until, stage.where)
                entry = spec.networks[stage.branch.head.network]
                head = answering(load(entry, sources[entry.name], device, network.layers[cut].out_shape))
                heads.append((entry.name, cut, head))
        parts.append(Part(name, _without_idle(spec, name, network), tuple(heads)))
    return parts


def _without_idle(spec: ManualSpec, name: str, network: Network) -> Network:
    """The network without the weights of layers that no stage runs."""
    staged = [_layers(network, stage.head) for stage in spec.stages if stage.network == name and stage.head]
    left_out = [_layers(network, head) for owner, head in spec.left_out if owner == name]
    kept = _backbone(network, staged + left_out, _end_of(spec, name)).kept
    run = {*kept, *(index for layers in staged for index in layers)}
    layers = (layer if layer.index in run else replace(layer, weights=None) for layer in network.layers)
    return replace(network, layers=tuple(layers))


def _build(
    spec: ManualSpec, sources: Sources, device: Device, maps: Maps, columns: ColumnOccupancy | None = None
) -> Chain:
    """The chain, with processors from `maps` where the YAMLs leave them open. `columns`: in use by other models."""
    used = {stage.network for stage in spec.stages}
    check_heads(spec, used)
    networks = {name: load(entry, sources[name], device) for name, entry in spec.networks.items() if name in used}
    occupied = no_columns_occupied(device) if columns is None else columns.copy()
    input_map = next((bits for bits in map(_stated_input, networks.values()) if bits), 0)
    for name, network in networks.items():
        networks[name] = complete(network, device, occupied, input_map, maps.get(name, {}))
        input_map = input_map or _stated_input(networks[name])
    chosen = Chosen(sources, device, occupied, maps)
    branches = {name: _branch(spec, name, network, chosen) for name, network in networks.items()}
    stages = _stages(spec, branches)
    all_networks = {name: branch.backbone for name, branch in branches.items()}
    keep = {name: spec.networks[name].keep_offsets for name in all_networks}
    for owner, branch in branches.items():
        for name, head in branch.heads.values():
            all_networks[name] = head
            keep[name] = spec.networks[name if name in spec.networks else owner].keep_offsets
    check_inputs(spec, all_networks, used)
    check_results(spec, stages, all_networks)
    check_buffers(spec, stages)
    check_hardware(spec, stages, all_networks)
    return Chain(all_networks, stages, keep)


def _stated_input(network: Network) -> ProcessorMap:
    """Processors that a network reads the input with; 0 if its YAML leaves them open."""
    return network.consumers(INPUT)[0].processors


def _branch(spec: ManualSpec, name: str, network: Network, chosen: Chosen) -> Branch:
    """Take the layers of heads out of a network; load heads that are networks of their own."""
    staged = [(stage, stage.branch) for stage in spec.stages if stage.network == name and stage.branch]
    inner = {stage.name: _layers(network, cut.head) for stage, cut in staged}
    left_out = (_layers(network, head) for owner, head in spec.left_out if owner == name)
    branch = _backbone(network, [*inner.values(), *left_out], _end_of(spec, name))
    for stage, cut in staged:
        _check_cut(stage, cut, branch)
    heads: dict[str, tuple[str, Network]] = {}
    for stage, cut in staged:
        index = _find(network, cut.until, stage.where)
        if cut.head.network is None:
            heads[stage.name] = (f"{name}.{stage.name}", select(network, inner[stage.name], index))
        else:
            entry = spec.networks[cut.head.network]
            read = network.layers[index]
            head = answering(load(entry, chosen.sources[entry.name], chosen.device, read.out_shape))
            own = chosen.maps.get(entry.name, {})
            head = complete(head, chosen.device, chosen.occupied, read.output_processors, own, head=True)
            _check_head(stage, head, read)
            _check_modes(entry, head, network)
            heads[stage.name] = (entry.name, head)
        check_gap(stage, heads[stage.name][1], network.layers[index])
    return replace(branch, heads=heads)


def _layers(network: Network, head: HeadSpec) -> tuple[int, ...]:
    """Layers of a network that are a head; none if the head is a network of its own."""
    return tuple(_find(network, layer, head.where) for layer in head.layers)


def _end_of(spec: ManualSpec, name: str) -> tuple[str | int, Where] | None:
    """The layer that the last stage ends after, if that is a stage of this network and the spec says so."""
    last = spec.stages[-1]
    return (last.until, last.where) if last.until is not None and last.network == name else None


def _backbone(network: Network, heads: Sequence[tuple[int, ...]], end: tuple[str | int, Where] | None = None) -> Branch:
    """The layers of a network that its answer takes, or its layer `end`, those of heads left out. InputError if it has
    several ends, or ends in a head."""
    removed = {index for layers in heads for index in layers}
    left = [layer.index for layer in network.layers if layer.index not in removed]
    if end is None:
        kept = answering_layers(network, left)
    else:
        last = _find(network, *end)
        kept = tuple(sorted(needed(network, last) & set(left)))
        if last in removed:
            label = network.layers[last].label
            raise InputError(Diagnostic(end[1], f"the last stage ends after layer `{label}`, which is part of a head"))
    return Branch(network, kept, select(network, kept, None), {})


def cuts_of(
    entry: NetworkSpec, source: NetworkSource, own_heads: Sequence[HeadSpec], device: Device
) -> tuple[int, ...]:
    """Layers of a network, by their numbers in its YAML, after which a stage can end. `own_heads`: layers of it that
    are heads, which no other stage runs."""
    network = load(entry, source, device)
    branch = _backbone(network, [_layers(network, head) for head in own_heads])
    return tuple(branch.kept[after] for after in legal_cuts(branch.backbone))


def _check_head(stage: StageSpec, network: Network, cut: Layer) -> None:
    for layer in network.consumers(INPUT):
        if layer.data_format == "CHW":
            raise InputError(
                Diagnostic(layer.where, f"layer `{layer.label}` of a head reads a tensor; tensors are HWC")
            )
        if layer.processors != cut.output_processors:
            found = f"layer `{layer.label}` reads processors {layer.processors:#018x}"
            written = f"`{cut.label}` writes its output to {cut.output_processors:#018x}"
            raise InputError(Diagnostic(layer.where, f"{found}; {written}, where stage `{stage.name}` is cut"))


def _check_modes(entry: NetworkSpec, head: Network, network: Network) -> None:
    """Modes of a whole run of the accelerator must be the same for a head and the network that it runs with."""
    if head.fifo:
        message = f"`{entry.name}` is a head; it reads what its stage's network writes, so it cannot have `fifo: true`"
        raise InputError(Diagnostic(entry.where, message))
    if head.avg_pool_rounding != network.avg_pool_rounding:
        message = f"head `{entry.name}` and the network it runs with need the same `avg_pool_rounding`"
        raise InputError(Diagnostic(entry.where, message))


def _find(network: Network, reference: str | int, where: Where) -> int:
    for layer in network.layers:
        if reference in (layer.index, layer.name):
            return layer.index
    names = ", ".join(f"{layer.index} ({layer.name})" if layer.name else str(layer.index) for layer in network.layers)
    raise InputError(Diagnostic(where, f"network `{network.name}` has no layer `{reference}`; it has {names}"))


def _stages(spec: ManualSpec, branches: Mapping[str, Branch]) -> tuple[ExitStage, ...]:
    done = dict.fromkeys(branches, 0)  # layers of each backbone that earlier stages have run
    stages = []
    for stage in spec.stages:
        branch = branches[stage.network]
        first = done[stage.network]
        layers = branch.backbone.layers[first : _end(stage, branch, first)]
        if not layers:
            message = f"stage `{stage.name}`: earlier stages have run all of network `{stage.network}`"
            raise InputError(Diagnostic(stage.where, message))
        done[stage.network] = first + len(layers)
        slots = slots_of(stage.network, branch.backbone, layers)
        stages.append(_stage(spec, stage, slots, branch))
    return tuple(stages)


def _check_cut(stage: StageSpec, cut: BranchSpec, branch: Branch) -> None:
    """InputError with the reason if a network cannot be cut where a stage ends."""
    found = _find(branch.network, cut.until, stage.where)
    label = branch.network.layers[found].label
    if found not in branch.kept:
        message = f"layer `{label}` is part of a head, or the last stage does not need it"
        raise InputError(Diagnostic(stage.where, f"stage `{stage.name}`: {message}"))
    index = branch.kept.index(found)
    boundary = next((one for one in boundaries(branch.backbone) if one.after == index), None)
    if boundary is None or not boundary.legal:
        reason = boundary.reason if boundary else "nothing is left for the next stage"
        raise InputError(Diagnostic(stage.where, f"stage `{stage.name}`: no cut after layer `{label}`: {reason}"))


def _end(stage: StageSpec, branch: Branch, first: int) -> int:
    """One behind the last backbone layer of a stage. InputError if an earlier stage has run it."""
    if stage.branch is None:
        return len(branch.backbone.layers)
    found = _find(branch.network, stage.branch.until, stage.where)
    index = branch.kept.index(found)
    if index < first:
        label = branch.network.layers[found].label
        raise InputError(Diagnostic(stage.where, f"stage `{stage.name}`: layer `{label}` has run in an earlier stage"))
    return index + 1


def _stage(spec: ManualSpec, stage: StageSpec, slots: tuple[Slot, ...], branch: Branch) -> ExitStage:
    result: TensorId = slots[-1].writes
    final = slots[-1].layer
    if stage.name in branch.heads:
        name, head = branch.heads[stage.name]
        part = stage.branch is not None and stage.branch.head.network is None
        slots += head_slots(name, head, result, stage.network if part else name)
        result, final = tensor_of(name, head.layers[-1].index), head.layers[-1]
    answers = answers_of(spec, stage, final)
    rule = _exit_of(stage, final)
    by_class = thresholds_of(spec, stage, answers, rule.classes(final.out_shape.channels)) if rule else ()
    if rule and by_class:
        limits = tuple(_threshold(stage.exit, one, rule.fraction_bits) for one in by_class)
        rule = replace(rule, threshold=None, by_class=limits)
    return ExitStage(stage.name, slots, result, rule, answers)


def _exit_of(stage: StageSpec, final: Layer) -> ExitRule | None:
    """None if the result is none of logits, by its shape or because the spec says what it always answers."""
    always = stage.answers and stage.answers.always is not None
    return exit_rule(stage.exit, final) if gives_logits(final) and not always else None


def with_exits(chain: Chain, spec: ManualSpec) -> Chain:
    """The chain with the exits of a spec of the same stages."""
    stages = tuple(
        replace(stage, exit=_exit_of(entry, chain.producers[stage.result].layer))
        for stage, entry in zip(chain.exits, spec.stages, strict=True)
    )
    return replace(chain, stages=stages)


def exit_rule(exits: ExitSpec, final: Layer) -> ExitRule:
    """An exit's numbers in the integer units of the layer that makes the logits."""
    bits = fraction_bits(final)
    try:
        threshold = None if exits.threshold is None else _threshold(exits, exits.threshold, bits)
        if exits.measure in HARDWARE and threshold == 0:
            raise ValueError(f"`at_least: {exits.threshold:g}` is 0 in units of the logits; it has to be above that")
        return ExitRule(exits.measure, threshold, bits, to_q16(exits.temperature))
    except ValueError as error:
        raise InputError(Diagnostic(exits.where, str(error))) from error


def _threshold(exits: ExitSpec, value: float, bits: int) -> int:
    """In integer units. InputError if it does not fit them."""
    try:
        return to_threshold(exits.measure, value, bits)
    except ValueError as error:
        raise InputError(Diagnostic(exits.where, str(error))) from error


def fraction_bits(final: Layer) -> int:
    """Fraction bits of logits: 7 of the data, and 7 of 8-bit weights in a 32-bit result (README "Number Format")."""
    return 7 + final.weight_bits - 1 if final.output_width == 32 else 7
