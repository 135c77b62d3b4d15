"""From a source to training, calibration and test sets, with a record of how they were made (data.json)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.records import converter, to_json
from offramp.data.functions import names_function
from offramp.data.source import Samples, Source, digest_of_source
from offramp.data.split import PARTS, TEST, Sizes, Split, split
from offramp.data.values import Normalization, folded, normalized
from offramp.data.write import write_set
from offramp.host.build_folder import check_free, whole_folder
from offramp.host.files import write_text
from offramp.planner.spec.dataset import Images, check_disjoint

FORMAT = 1
RECORD = "data.json"
_EARLIER = "earlier sets of `offramp data`"


@dataclass(frozen=True)
class SetOptions:
    """How sets are made. `normalize`, `range`: `method` and `stated` of `normalized`; `fold`: so many rows and columns
    of pixels become channels of one; `classes`: names, where the source has none or other ones; `drop_copies`: only the
    first of equal samples is used."""

    sizes: Sizes = Sizes()  # noqa: RUF009  it is frozen
    seed: int = 1
    normalize: str | None = None
    range: str | None = None
    fold: int = 1
    classes: tuple[str, ...] = ()
    drop_copies: bool = False


@dataclass(frozen=True)
class PartRecord:
    """A set: its file and that file's SHA-256, how many samples it has, and how many of each class."""

    name: str
    file: str
    sha256: str
    samples: int
    per_class: tuple[int, ...]


@dataclass(frozen=True)
class DataRecord:
    """data.json: everything that the sets follow from. docs/DATA.md has the keys."""

    format: int
    source: str
    kind: str
    digest: str
    notes: tuple[str, ...]
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    normalization: Normalization
    fold: int
    seed: int
    official_test: bool
    copies: int
    conflicting: int
    in_official: int
    dropped: int
    unused: int
    parts: tuple[PartRecord, ...]


@dataclass(frozen=True, eq=False)
class Sets:
    """The sets by the names of PARTS, those without samples left out, and what is known of them."""

    source: Source
    digest: str
    normalization: Normalization
    options: SetOptions
    split: Split
    parts: Mapping[str, Samples]
    classes: tuple[str, ...]


def make_sets(source: Source, options: SetOptions = SetOptions()) -> Sets:
    """Normalize, fold and split. InputError if values, labels, names or sizes do not fit."""
    where = Where(source.name)
    classes = _class_names(source, options.classes, where)
    whole, normalization = normalized(source, options.normalize, options.range)
    samples = folded(whole.samples, options.fold, where)
    official = None if whole.test is None else folded(whole.test, options.fold, where)
    if official is not None and official.x.shape[1:] != samples.x.shape[1:]:
        found = f"the official test split has samples {official.x.shape[1:]}, the others {samples.x.shape[1:]}"
        raise InputError(Diagnostic(where, found))
    made = split(samples, options.sizes, options.seed, where, official, options.drop_copies)
    parts = {name: samples.taken(part) for name, part in made.parts.items()}
    if official is not None:
        parts[TEST] = official
    parts = {name: parts[name] for name in PARTS if len(parts[name])}
    for first, second in combinations(parts, 2):
        check_disjoint(Images(first, parts[first].x), Images(second, parts[second].x), where)
    return Sets(source, digest_of_source(source), normalization, options, made, parts, classes)


def _class_names(source: Source, stated: tuple[str, ...], where: Where) -> tuple[str, ...]:
    """The names of the classes, one for each label that occurs, or none at all."""
    names = stated or source.classes
    highest = max((int(part.y.max()) for part in source.parts if part.y is not None and len(part)), default=-1)
    if names and highest >= len(names):
        raise InputError(
            Diagnostic(where, f"labels run to {highest}; there are {len(names)} names of classes (--classes)")
        )
    if len(set(names)) < len(names):
        raise InputError(Diagnostic(where, "two classes have the same name"))
    return names


def write_sets(sets: Sets, folder: Path) -> DataRecord:
    """Write a file for each set, and data.json. The folder appears whole or not at all, and replaces only one that was
    written like this. InputError if it cannot be written."""
    with whole_folder(folder, _EARLIER) as fresh:
        contents = {name: write_set(fresh / f"{name}.npz", part, sets.classes) for name, part in sets.parts.items()}
        record = record_of(sets, contents)
        write_text(fresh / RECORD, to_json(record, converter()))
    return record


def check_output(folder: Path) -> None:
    """InputError if there is something at the place of a folder of sets that may not be replaced."""
    check_free(folder, _EARLIER)


def record_of(sets: Sets, contents: Mapping[str, bytes]) -> DataRecord:
    """What is known of the sets. `contents`: of their files."""
    source, made = sets.source, sets.split
    count = max([len(sets.classes), *(int(part.y.max()) + 1 for part in sets.parts.values() if part.y is not None)])
    shape = next(iter(sets.parts.values())).x.shape
    return DataRecord(
        format=FORMAT,
        source=source.name if names_function(source.name) else Path(source.name).name,
        kind=source.kind,
        digest=sets.digest,
        notes=source.notes,
        shape=(shape[1], shape[2], shape[3]),
        classes=sets.classes,
        normalization=sets.normalization,
        fold=sets.options.fold,
        seed=sets.options.seed,
        official_test=source.test is not None,
        copies=made.copies,
        conflicting=made.conflicting,
        in_official=made.in_official,
        dropped=made.dropped,
        unused=made.unused,
        parts=tuple(
            PartRecord(name, f"{name}.npz", sha256(contents[name]).hexdigest(), len(part), _per_class(part, count))
            for name, part in sets.parts.items()
        ),
    )


def _per_class(part: Samples, count: int) -> tuple[int, ...]:
    return () if part.y is None else tuple(int(one) for one in np.bincount(part.y, minlength=count))
