"""Heads that were trained as part of the main network, and stand in its YAML."""

from __future__ import annotations

from collections.abc import Iterator

from offramp.configs.device import Device
from offramp.planner.chain.build import cuts_of
from offramp.planner.chain.ends import answering_layers, other_ends
from offramp.planner.chain.sources import Sources, load
from offramp.planner.reference.confidence import gives_logits
from offramp.planner.spec.spec import AutoSpec, BranchSpec, ExitSpec, HeadSpec, StageSpec


def ends_as_heads(spec: AutoSpec, sources: Sources, device: Device) -> Iterator[StageSpec]:
    """Main's ends that are not its answer, but give as many classes and read a single tensor of it where it can be
    cut."""
    main = spec.choice.main
    entry = spec.networks[main]
    network = load(entry, sources[main], device)
    answer = network.layers[answering_layers(network, range(len(network.layers)))[-1]]
    cuts = cuts_of(entry, sources[main], [], device)
    names: list[str] = []
    for end in other_ends(network):
        cut = next(iter(end.reads), None)
        final = network.layers[end.layers[-1]]
        same = gives_logits(final) and final.out_shape == answer.out_shape
        if len(end.reads) == 1 and cut in cuts and same:
            name = f"{main}-{cut}" if f"{main}-{cut}" not in names else f"{main}-{cut}-{end.layers[-1]}"
            names.append(name)
            branch = BranchSpec(cut, HeadSpec(entry.where, None, end.layers))
            yield StageSpec(name, entry.where, main, branch, ExitSpec(entry.where, spec.choice.measures[0], None, 1.0))
