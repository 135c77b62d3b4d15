"""Designs as candidates of a spec with `exits: auto`, in memory: placed beside main, with the cost of every exit.

What is placed and what it costs is computed as `offramp build` does for the spec that is written in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, Infeasible, InputError
from offramp.configs.lines import parse_yaml
from offramp.pipeline.choosing import Setting, built_chain
from offramp.planner.ai8x.checkpoint import Checkpoint
from offramp.planner.ai8x.description import describe
from offramp.planner.ai8x.weights import LayerWeights
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import NetworkSource, Sources, read_sources
from offramp.planner.exits.candidates import Candidate, Candidates, chosen_spec, load_candidates
from offramp.planner.exits.choose import Cost
from offramp.planner.ir.measure import GATE
from offramp.planner.ir.network import Network
from offramp.planner.rules.check import check_chain
from offramp.planner.spec.spec import AutoSpec, BranchSpec, ExitSpec, HeadSpec, NetworkSpec, StageSpec
from offramp.planner.tasks.executor import Executor
from offramp.training.design import Design, layer_names, weight_shapes, yaml_of
from offramp.training.spec import MAIN, TrainSpec


@dataclass(frozen=True)
class Proposal:
    """A design to be tried: a front, or a head that reads the output of main's layer `cut`."""

    name: str
    design: Design
    cut: int | None = None


@dataclass(frozen=True, eq=False)
class Bench:
    """The frozen network and what candidates are measured against: `alone`: cost of main alone."""

    spec: TrainSpec
    device: Device
    sources: Sources
    main: Network
    alone: Cost


@dataclass(frozen=True, eq=False)
class Priced:
    """A proposal that fits beside main. `cost`: of the chain of it and main, by exit."""

    proposal: Proposal
    candidate: Candidate
    cost: Cost


def auto_spec(spec: TrainSpec, proposals: Sequence[Proposal]) -> AutoSpec:
    """The spec whose candidates are some proposals, as it would be read from a file."""
    networks = {MAIN: spec.main}
    for one in proposals:
        shape = None if one.cut is not None else one.design.input
        path = spec.main.network.parent / f"{one.name}.yaml"
        networks[one.name] = NetworkSpec(one.name, spec.where, path, path, shape, True, True, False, False)
        if spec.main.avg_pool_rounding:
            networks[one.name] = replace(networks[one.name], avg_pool_rounding=True)
    return AutoSpec(
        name=spec.name,
        where=spec.where,
        networks=networks,
        data=spec.data,
        labels=spec.labels,
        compare=(),
        reload=None,
        clocks=spec.clocks,
        places=spec.places,
        choice=replace(spec.choice, candidates=tuple(_stage(spec, one) for one in proposals)),
    )


def _stage(spec: TrainSpec, proposal: Proposal) -> StageSpec:
    rule = ExitSpec(spec.choice.where, GATE if spec.gate else spec.choice.measures[0], None, 1.0)
    if proposal.cut is None:
        return StageSpec(proposal.name, spec.where, proposal.name, None, rule)
    head = HeadSpec(spec.where, proposal.name, ())
    return StageSpec(proposal.name, spec.where, MAIN, BranchSpec(proposal.cut, head), rule)


def source_of(design: Design, weights: Sequence[LayerWeights]) -> NetworkSource:
    """A design and its weights as if they had been read from files."""
    description, problems = describe(parse_yaml(yaml_of(design, design.name), f"design {design.name}"))
    if description is None or problems:
        raise InputError(problems)
    return NetworkSource(description, Checkpoint(description.where, design.name, tuple(weights)))


def drawn_weights(design: Design, seed: int = 0) -> tuple[LayerWeights, ...]:
    """Weights that stand for those to come: what is placed and what it costs does not depend on their values, if no two
    layers have the same."""
    rng = np.random.default_rng(seed)
    found = []
    for name, shape, layer in zip(layer_names(design), weight_shapes(design), design.layers, strict=True):
        high = 1 << (layer.bits - 1)
        values = rng.integers(-high, high, shape).astype(np.int8)
        bias = np.ones(shape[0], np.int8) if layer.bias else None
        found.append(LayerWeights(name=name, shape=shape, bits=layer.bits, weights=values, bias=bias, output_shift=0))
    return tuple(found)


def loaded(
    bench: Bench, proposals: Sequence[Proposal], weights: Mapping[str, Sequence[LayerWeights]]
) -> tuple[Candidates, Sources]:
    """Candidates with their networks; weights are drawn where none are given. InputError if one does not fit main."""
    sources = dict(bench.sources)
    for one in proposals:
        sources[one.name] = source_of(one.design, weights.get(one.name) or drawn_weights(one.design))
    return load_candidates(auto_spec(bench.spec, proposals), sources, bench.device), sources


def priced(bench: Bench, proposals: Sequence[Proposal], tasks: Executor) -> list[Priced | str]:
    """Every proposal placed beside main, with as many bits of weights as fit, with biases if they fit; why not where
    nothing does."""
    return tasks.map(_priced, bench, proposals)


def _priced(bench: Bench, proposal: Proposal) -> Priced | str:
    wanted = bench.spec.fronts if proposal.cut is None else bench.spec.heads
    reason = ""
    for bits, bias in product(wanted.bits if wanted else (), (True, False)):
        smaller = replace(proposal, design=shrunk(proposal.design, bits, bias))
        try:
            candidates, sources = loaded(bench, [smaller], {})
        except InputError as error:
            return str(error.problems[0].message)
        cost = built_chain(Setting(candidates, sources, bench.device, suggests=False), (0,)).cost
        if not cost.reason:
            return Priced(smaller, candidates.entries[0], cost)
        reason = reason or cost.reason
    return reason


def shrunk(design: Design, bits: int, bias: bool) -> Design:
    """The design with weights of so many bits in all layers, and with biases in all of them or only in the last."""
    last = len(design.layers) - 1
    layers = (
        replace(one, bits=bits, bias=bias or number == last)  # type: ignore[arg-type]  # 8, 4, 2 or 1
        for number, one in enumerate(design.layers)
    )
    return replace(design, layers=tuple(layers))


def open_bench(spec: TrainSpec, device: Device) -> Bench:
    """Main, read from its files and placed alone. InputError, or Infeasible, with what prevents that."""
    auto = auto_spec(spec, [])
    sources = read_sources(auto, device)
    chain = build_chain(chosen_spec(auto, [], []), sources, device)
    network, last = chain.networks[MAIN], chain.exits[-1]
    problems = list(check_chain(chain, device))
    if network.buffers:
        found = "main keeps data from one input to the next (rolling buffers); a front would keep inputs from it"
        problems.append(Diagnostic(spec.main.where, f"{found}, and images could not be drawn at random"))
    if last.exit is None:
        problems.append(Diagnostic(spec.main.where, "main gives a tensor; only networks with classes get exits here"))
    if problems:
        raise InputError(problems)
    built = built_chain(Setting(Candidates(auto, network, (), last), sources, device), ())
    if built.cost.reason:
        raise Infeasible(Diagnostic(spec.main.where, built.cost.reason))
    return Bench(spec, device, sources, network, built.cost)
