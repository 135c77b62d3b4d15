"""Training, calibration and test sets: by seed, with the classes in equal shares, and no sample in two of them.

A sample that is there twice, byte by byte, must not be learned from in one set and judged by in another: copies go into
one set together. Samples of a group (`groups`: the recordings of a person, say) do so too; classes are then shared out
as the groups have them. What equals a sample of an official test split is in no other set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.data.source import Samples

Indices = npt.NDArray[np.int64]
Size = int | Fraction  # so many samples, or so large a share of those that are split

_TEST = Fraction(1, 5)  # where there is no official test split
TRAINING, CALIBRATION, TEST = PARTS = ("training", "calibration", "test")


@dataclass(frozen=True)
class Sizes:
    """How large the sets are. `training` None: all that is left. `test` None: a fifth, or the official test split."""

    training: Size | None = None
    calibration: Size = Fraction(1, 10)
    test: Size | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """Which samples are in which part: their numbers in the source, in the order of the set.

    `copies`: samples that equal an earlier one; `conflicting`: those of them with another label. `in_official`: samples
    left out because they equal one of the official test split. `dropped`: copies across groups, kept in one part only.
    """

    parts: Mapping[str, Indices]
    unused: int
    copies: int
    conflicting: int
    in_official: int
    dropped: int


def split(
    samples: Samples, sizes: Sizes, seed: int, where: Where, official: Samples | None = None, drop_copies: bool = False
) -> Split:
    """The same samples, sizes and seed give the same parts. With an official test split there is no part `test`.

    `drop_copies`: of equal samples only the first one is used. InputError if there are fewer samples than asked for.
    """
    digests = _digests(samples)
    first = _first_copies(digests)
    used = np.ones(len(samples), bool)
    if official is not None:
        known = set(_digests(official))
        used = np.array([digest not in known for digest in digests], bool)
    in_official = int((~used).sum())
    is_copy = first != np.arange(len(samples))
    if drop_copies:
        used &= ~is_copy
    pool = np.flatnonzero(used)
    counts = _counts(sizes, len(pool), official is not None, where)
    parts = _allotted(samples, first, pool, counts, seed)
    kept, dropped = _without_copies(parts, first)
    return Split(
        kept,
        len(samples) - sum(len(part) for part in kept.values()),
        int(is_copy.sum()),
        0 if samples.y is None else int((samples.y != samples.y[first]).sum()),
        in_official,
        dropped,
    )


def _digests(samples: Samples) -> list[bytes]:
    """What stands for each sample where many are compared."""
    return [blake2b(image.tobytes(), digest_size=16).digest() for image in samples.x]


def _first_copies(digests: Sequence[bytes]) -> Indices:
    """Of each sample the number of the first one that equals it."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(digest, number) for number, digest in enumerate(digests)], np.int64)


def _counts(sizes: Sizes, total: int, has_official: bool, where: Where) -> dict[str, int | None]:
    """Samples of each part, training last, where None is all that is left. InputError if there are too few."""
    if has_official and sizes.test is not None:
        raise InputError(Diagnostic(where, "has an official test split, which stays as it is: no size for `test`"))
    asked = {} if has_official else {TEST: _count(_TEST if sizes.test is None else sizes.test, total)}
    asked[CALIBRATION] = _count(sizes.calibration, total)
    training = None if sizes.training is None else _count(sizes.training, total)
    asked[TRAINING] = training or 0
    if sum(asked.values()) > total:
        wanted = ", ".join(f"{count:,} for {name}" for name, count in reversed(asked.items()) if count)
        raise InputError(Diagnostic(where, f"{wanted} are asked for; there are {total:,} samples to be split"))
    return {**asked, TRAINING: training}


def _count(size: Size, total: int) -> int:
    return size if isinstance(size, int) else round(size * total)


def _allotted(
    samples: Samples, first: Indices, pool: Indices, counts: Mapping[str, int | None], seed: int
) -> dict[str, Indices]:
    """The parts, in seeded order. What must stay together is a unit; units are shared out stratum by stratum."""
    order = np.argsort(
        np.random.PCG64(seed).random_raw(len(samples)), kind="stable"
    )  # numpy keeps this stream as it is
    place = np.argsort(order)
    strata = _strata(samples, first, pool[np.argsort(place[pool])])
    parts = {}
    for name, count in counts.items():
        part: list[int] = []
        left = {stratum: sum(map(len, units)) for stratum, units in strata.items()}
        quotas = left if count is None else _shares(left, min(count, sum(left.values())))
        for stratum, quota in quotas.items():
            taken, strata[stratum] = _taken(strata[stratum], quota)
            part += taken
        parts[name] = np.array(sorted(part, key=lambda number: place[number]), np.int64)
    return parts


def _strata(samples: Samples, first: Indices, ordered: Indices) -> dict[int, list[list[int]]]:
    """Units in their order by class; without labels, or where groups are units, all of them in one stratum."""
    keys = first if samples.groups is None else samples.groups
    units: dict[int, list[int]] = {}
    for number in ordered:
        units.setdefault(int(keys[number]), []).append(int(number))
    if samples.y is None or samples.groups is not None:
        return {0: list(units.values())}
    strata: dict[int, list[list[int]]] = {}
    for unit in units.values():
        strata.setdefault(int(samples.y[unit[0]]), []).append(unit)
    return strata


def _shares(sizes: Mapping[int, int], count: int) -> dict[int, int]:
    """`count` shared out in proportion to `sizes`, the largest remainders rounded up; never more than there are."""
    total = sum(sizes.values())
    if not total:
        return dict.fromkeys(sizes, 0)
    shares = {key: size * count // total for key, size in sizes.items()}
    remainders = sorted(sizes, key=lambda key: (-(sizes[key] * count % total), key))
    for key in remainders[: count - sum(shares.values())]:
        shares[key] += 1
    return shares


def _taken(units: list[list[int]], quota: int) -> tuple[list[int], list[list[int]]]:
    """Units in their order, each if it brings the number of samples nearer to the quota; and those that are left."""
    taken: list[int] = []
    left = []
    for unit in units:
        if len(unit) < 2 * (quota - len(taken)):
            taken += unit
        else:
            left.append(unit)
    return taken, left


def _without_copies(parts: Mapping[str, Indices], first: Indices) -> tuple[dict[str, Indices], int]:
    """The parts without what equals a sample of a part before; how many those were."""
    kept: dict[str, Indices] = {}
    seen = np.empty(0, np.int64)
    dropped = 0
    for name, part in parts.items():
        fresh = ~np.isin(first[part], seen)
        kept[name] = part[fresh]
        dropped += int((~fresh).sum())
        seen = np.concatenate([seen, first[part]])
    return {name: kept[name] for name in PARTS if name in kept}, dropped
