"""Corpus networks with processors chosen together with start columns: `python -m bench.placement --free`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from offramp.configs.device import Device, load_device
from offramp.configs.errors import InputError
from offramp.corpus.case import load_case
from offramp.corpus.synth import forget_places
from offramp.planner.chain.bundles import movables_of
from offramp.planner.placement.answer import Found, Impossible
from offramp.planner.placement.check import check
from offramp.planner.placement.columns import objectives_of
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.joint import Joint, place_jointly
from offramp.planner.placement.joint_problem import Board, Bundle
from offramp.planner.placement.problem import Placement, Problem, WeightBlock

Networks = Mapping[str, tuple[WeightBlock, ...]]


@dataclass(frozen=True)
class Decision:
    """One set of networks. `state`: placed, impossible or undecided, and by what."""

    state: str
    seconds: float


def report_free(
    corpus: Path, networks: Networks, sets: Mapping[str, Sequence[tuple[str, ...]]], problem: Problem
) -> None:
    """Decide every set, by title: placed, checked, or proved impossible. CHW and FIFO inputs lie where the hardware
    reads them.

    Networks that the planner does not run (rolling data buffers) keep the processors of their YAML.
    """
    device = load_device()
    bundles = {name: bundles_in(corpus / "cases" / name, networks[name], device) for name in networks}
    for title, chosen in sets.items():
        decisions = []
        for names in chosen:
            parts = tuple(bundle for name in names for bundle in bundles[name])
            decision = decide(parts, problem, device)
            decisions.append(decision)
            if decision.state.startswith("undecided") or decision.seconds > 1:
                print(f"  {' + '.join(names)}: {decision.state}, {decision.seconds:.2f} s")
        report(title, decisions)


def report(title: str, decisions: Sequence[Decision]) -> None:
    print(f"\n{title} with free processors: {len(decisions)} whose bytes fit")
    for state, count in sorted(Counter(decision.state for decision in decisions).items()):
        print(f"  {state}: {count}")
    decided = [decision.seconds for decision in decisions if not decision.state.startswith("undecided")]
    print(f"  decided within 2 s: {sum(one <= 2 for one in decided)} of {len(decisions)}")
    seconds = [decision.seconds for decision in decisions]
    print(f"  time: median {median(seconds) * 1e3:.1f} ms, max {max(seconds):.2f} s, all {sum(seconds):.1f} s")


def bundles_in(folder: Path, kept: Sequence[WeightBlock], device: Device) -> tuple[Bundle, ...]:
    """The bundles of a corpus network."""
    try:
        network = load_case(folder, device).network
    except InputError as error:
        print(f"{folder.name} keeps its processors: {error.problems[0].message}")
        return tuple(Bundle(block.name, (0,), (block,)) for block in kept)
    return tuple(one.bundle for one in movables_of(folder.name, forget_places(network), device))


def decide(bundles: tuple[Bundle, ...], problem: Problem, device: Device) -> Decision:
    """A placement that breaks a rule ends the benchmark."""
    geometry = device.geometry
    begin = time.perf_counter()
    board = Board(bundles, problem, geometry.processors, geometry.processors_per_instance)
    answer = place_jointly(board, DEFAULT_LIMITS)
    seconds = time.perf_counter() - begin
    if isinstance(answer, Found):
        check_joint(board, answer.value)
        return Decision(f"placed by {answer.value.by}", seconds)
    return Decision(f"impossible by {answer.why}" if isinstance(answer, Impossible) else "undecided", seconds)


def check_joint(board: Board, joint: Joint) -> None:
    """The independent checker looks at the blocks where they lie."""
    blocks = board.blocks(joint.bases)
    starts = {block.name: start for block, start in zip(blocks, joint.starts, strict=True)}
    placement = Placement(starts, {}, {}, objectives_of(blocks, joint.starts))
    violations = check(replace(board.problem, weights=blocks), placement)
    if violations:
        raise SystemExit(violations[0].message)
