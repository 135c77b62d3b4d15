"""The deepest stack of each function, over all that it calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

import networkx as nx

from offramp.configs.errors import CheckFailed, Diagnostic
from offramp.simulator.board.objects import Function

# What the core puts on the stack as it takes an interrupt, with a word to align it: registers of the integer unit, and
# of the floating-point unit where that is in use (Armv7-M Architecture Reference Manual, B1.5.6 and B1.5.7).
INTERRUPT_BYTES = 4 * (8 + 1)
INTERRUPT_BYTES_FPU = 4 * (26 + 1)


@dataclass(frozen=True)
class Depth:
    """Bytes of stack at most during a call of a function; path: the calls that lead there, itself first."""

    name: str
    bytes: int
    path: tuple[str, ...]


def deepest_stacks(all_functions: Iterable[Function], pointed_at: Set[str], names: Sequence[str]) -> tuple[Depth, ...]:
    """Of the functions with these names. A call through a pointer may reach every function that is pointed at.

    CheckFailed names circles of calls, frames whose size depends on values, and functions that are not there.
    """
    functions = {function.name: function for function in all_functions}
    graph = _graph(functions, pointed_at)
    reached = set(names).union(*(nx.descendants(graph, name) for name in names if name in graph))
    found = _problems(graph.subgraph(reached), functions, reached)
    if found:
        raise CheckFailed([Diagnostic(None, text) for text in found])
    below: dict[str, tuple[int, tuple[str, ...]]] = {}
    for name in reversed(list(nx.topological_sort(graph.subgraph(reached)))):
        depth, path = max((below[other] for other in graph.successors(name)), default=(0, ()))
        below[name] = depth + (functions[name].stack or 0), (name, *path)
    return tuple(Depth(name, *below[name]) for name in names)


def _graph(functions: dict[str, Function], pointed_at: Set[str]) -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(functions)
    for function in functions.values():
        targets = function.calls | (pointed_at & functions.keys()) if function.indirect else function.calls
        graph.add_edges_from((function.name, other) for other in sorted(targets))
    return graph


def _problems(graph: nx.DiGraph[str], functions: dict[str, Function], reached: set[str]) -> list[str]:
    circles = [_circle(graph.subgraph(part)) for part in nx.strongly_connected_components(graph)]
    return [
        *(f"recursion: {' -> '.join(circle)}" for circle in sorted(filter(None, circles))),
        *(
            f"{name}: how much stack it takes depends on values, or is not known"
            for name in sorted(reached & functions.keys())
            if functions[name].stack is None
        ),
        *(f"{name} is called, and is not there" for name in sorted(reached - functions.keys())),
    ]


def _circle(part: nx.DiGraph[str]) -> list[str]:
    """Names along a circle of calls, the first of them at both ends; none where there is none."""
    if not part.number_of_edges():
        return []
    edges = nx.find_cycle(part, min(part))
    return [edges[0][0], *(target for _, target in edges)]
