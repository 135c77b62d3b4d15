"""Which trained candidates are kept: fronts of different costs, and the heads that make the best chain cheaper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from offramp.pipeline.choosing import Builder
from offramp.planner.exits.choice import Choice
from offramp.planner.exits.choose import choose
from offramp.planner.exits.records import ChoiceRecord
from offramp.training.candidates import loaded
from offramp.training.objective import Logits, profile_of
from offramp.training.search import Setting, Trained

ALIKE = 0.1  # of a cost: of two fronts whose answers differ by less the better one is kept

IDLE = "saves nothing within the limit of accuracy"
FRONT_LIKE = "costs about what `{}` does, which is better"
HEAD_LIKE = "`{}` is better at the same cut"

Reasons = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Kept:
    """`reasons`: why each trained candidate was kept or not. `choice`: of chains of the kept ones, on the images that
    candidates are compared on."""

    entries: tuple[Trained, ...]
    reasons: Reasons
    choice: ChoiceRecord | None


def keep(setting: Setting, fronts: Sequence[Trained], heads: Sequence[Trained], logits: Mapping[str, Logits]) -> Kept:
    """Of candidates, the best of each kind first. `logits`: of each on the images that they are compared on."""
    reasons: dict[str, str] = {}
    spec = setting.bench.spec
    some = [
        *_best(fronts, spec.fronts.count if spec.fronts else 0, _cost_alike, FRONT_LIKE, reasons),
        *_best(heads, spec.heads.count if spec.heads else 0, _same_cut, HEAD_LIKE, reasons),
    ]
    if not some:
        return Kept((), reasons, None)
    setting.progress.step("choosing among the candidates")
    choice = _choice(setting, some, logits)
    kept = []
    for one in some:
        name = one.proposal.name
        if one.proposal.cut is not None and spec.fronts is not None and name not in choice.chosen.stages:
            reasons[name] = "the best chain does without it"
            continue
        reasons[name] = "kept"
        kept.append(one)
    return Kept(tuple(kept), reasons, choice.record())


def _best(
    found: Sequence[Trained], count: int, alike: Callable[[Trained, Trained], bool], why: str, reasons: dict[str, str]
) -> list[Trained]:
    """The first so many that save something, one of those that are alike. `why`: not another one like `{}`."""
    kept: list[Trained] = []
    for one in found:
        twin = next((other for other in kept if alike(other, one)), None)
        if one.standing.found and one.standing.found.value >= 1:
            reasons[one.proposal.name] = IDLE
        elif len(kept) == count:
            reasons[one.proposal.name] = f"worse than the {count} that are kept"
        elif twin:
            reasons[one.proposal.name] = why.format(twin.proposal.name)
        else:
            kept.append(one)
    return kept


def _cost_alike(kept: Trained, one: Trained) -> bool:
    return abs(_cost(kept) - _cost(one)) <= ALIKE * _cost(one)


def _same_cut(kept: Trained, one: Trained) -> bool:
    return kept.proposal.cut == one.proposal.cut


def _cost(one: Trained) -> int:
    """Cycles of an answer at the front."""
    return one.priced.cost.cost_by_exit["cycles"][0]


def _choice(setting: Setting, some: Sequence[Trained], logits: Mapping[str, Logits]) -> Choice:
    bench, judge = setting.bench, setting.judge
    proposals = [one.proposal for one in some]
    weights = {one.proposal.name: one.weights for one in some}
    candidates, sources = loaded(bench, proposals, weights)
    builder = Builder(candidates, sources, bench.device, setting.progress, setting.tasks)
    profiles = [profile_of(entry, logits[entry.name], judge.truth) for entry in candidates.entries]
    full = judge.answers == judge.truth
    return choose(judge.goal, profiles, full, builder.costs(), builder.place, setting.tasks)
