"""Early stages on a set of images, as a search for thresholds reads them: who leaves with which threshold.

Thresholds matter only where they change who leaves. Of those, one has to be considered only if lowering it to the next
confidence would let an image go with a wrong answer that another stage gets right: otherwise the lower one costs no
more and is as accurate, as long as no later stage is cheaper to leave at. A threshold is named by its number, a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.exits.frontier import LARGEST, NEVER, Bools, Ints

Levels = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Cuts:
    """Thresholds of a measure, the highest first. `level`: the first cut with which each image leaves, (N,); the number
    of cuts where it never does. `scores`: the least score that leaves, by cut."""

    level: Levels
    scores: Ints


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates on N images. `right`: (candidates + 1, N), main last. `useful`, `every`: by candidate and measure,
    the cuts that have to be considered in chains whose cost rises from stage to stage, and in all others."""

    right: Bools
    useful: tuple[tuple[Cuts, ...], ...]
    every: tuple[tuple[Cuts, ...], ...]

    @property
    def images(self) -> int:
        return len(self.right[0])

    def cuts(self, rising: bool) -> tuple[tuple[Cuts, ...], ...]:
        return self.useful if rising else self.every


def make_pool(scores: Sequence[Sequence[Ints]], right: Bools) -> Pool:
    """`scores`: (N,) by candidate and measure, the higher the surer; `right`: as in Pool."""
    useful, every = [], []
    for candidate, measures in enumerate(scores):
        others = np.delete(right, candidate, axis=0).any(axis=0)
        pairs = [_cuts(one, ~right[candidate] & others) for one in measures]
        useful.append(tuple(pair[0] for pair in pairs))
        every.append(tuple(pair[1] for pair in pairs))
    return Pool(right, tuple(useful), tuple(every))


def _cuts(scores: Ints, harmed: Bools) -> tuple[Cuts, Cuts]:
    """(those to be considered, all) of a measure. `harmed`: images that may be better off if they stay, (N,)."""
    order = np.argsort(-scores, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    ranked = scores[order]
    ends = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(ranked)]])
    nobody = np.where(ranked[:1] > NEVER, ranked[:1] + 1, LARGEST)
    least = np.concatenate([nobody, ranked[ends[1:] - 1]])
    harm = np.concatenate([[0], np.cumsum(harmed[order])])[ends]
    possible = (least <= LARGEST) & (least > NEVER)
    ends, least, harm = ends[possible], least[possible], harm[possible]
    useful = np.append(harm[1:] > harm[:-1], True)
    return _at(place, ends[useful], least[useful]), _at(place, ends, least)


def _at(place: Ints, ends: Ints, scores: Ints) -> Cuts:
    """Cuts after the surest `ends` images each."""
    return Cuts(np.searchsorted(ends, np.arange(len(place)), side="right").astype(np.int32)[place], scores)
