"""The split: what is asked for, by seed, the same in all classes, and no sample in two parts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.configs.errors import InputError, Where
from offramp.data.source import Samples
from offramp.data.split import PARTS, Size, Sizes, Split, split

WHERE = Where("data")


def samples(content: list[int], labels: list[int] | None = None, groups: list[int] | None = None) -> Samples:
    """Samples of one value each: equal values are copies."""
    x = np.array(content, np.int16).view(np.int8).reshape(-1, 2, 1, 1)
    return Samples(
        x,
        None if labels is None else np.array(labels, np.int64),
        None if groups is None else np.array(groups, np.int64),
    )


def content(given: Samples, made: Split) -> dict[str, set[bytes]]:
    return {name: {given.x[number].tobytes() for number in part} for name, part in made.parts.items()}


def check_parts(given: Samples, made: Split) -> None:
    """From the definition: no number twice, and no content in two parts."""
    numbers = [int(number) for part in made.parts.values() for number in part]
    assert len(set(numbers)) == len(numbers) and made.unused == len(given) - len(numbers)
    found = list(content(given, made).values())
    assert sum(map(len, found)) == len(set().union(*found))


SIZES = st.one_of(st.integers(0, 30), st.fractions(0, Fraction(1, 2)))


@given(st.data())
def test_any_split(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    values = data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    labels = [data.draw(st.integers(0, 3)) for _ in range(count)]
    groups = [data.draw(st.integers(0, 5)) for _ in range(count)] if data.draw(st.booleans()) else None
    given_samples = samples(values, labels, groups)
    official = samples(data.draw(st.lists(st.integers(0, 40), max_size=5))) if data.draw(st.booleans()) else None
    training: Size | None = data.draw(st.one_of(st.none(), SIZES))
    sizes = Sizes(training, data.draw(SIZES), None if official is not None else data.draw(st.none() | SIZES))
    seed, drop = data.draw(st.integers(0, 3)), data.draw(st.booleans())
    try:
        made = split(given_samples, sizes, seed, WHERE, official, drop)
    except InputError as error:
        assert "are asked for; there are" in str(error)
        return
    assert made.parts.keys() == set(PARTS) - ({"test"} if official is not None else set())
    check_parts(given_samples, made)
    again = split(given_samples, sizes, seed, WHERE, official, drop)
    assert all(np.array_equal(again.parts[name], part) for name, part in made.parts.items())
    if official is not None:
        known = {one.tobytes() for one in official.x}
        assert known.isdisjoint(set().union(*content(given_samples, made).values()))
    if groups is not None:
        parts = [{groups[number] for number in part} for part in made.parts.values()]
        assert sum(map(len, parts)) == len(set().union(*parts))
    if drop:
        assert made.dropped == 0 and sum(map(len, made.parts.values())) <= len(set(values))


@given(st.integers(0, 50), st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(0, 99))
def test_classes_have_equal_shares(seed: int, sizes: list[int], percent: int) -> None:
    """Exact sizes, and each class within one sample of its share."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    total = len(labels)
    share = Fraction(percent, 300)
    made = split(samples(list(range(total)), labels.tolist()), Sizes(None, share, share), seed, WHERE)
    asked = round(share * total)
    assert [len(made.parts[name]) for name in PARTS] == [total - 2 * asked, asked, asked]
    for part in made.parts.values():
        for label, size in enumerate(sizes):
            share_of_class = size * len(part) / max(1, total)
            assert abs(int((labels[part] == label).sum()) - share_of_class) < 2


def test_sizes_as_numbers() -> None:
    made = split(samples(list(range(100)), [0, 1] * 50), Sizes(30, 20, 10), 0, WHERE)
    assert {name: len(part) for name, part in made.parts.items()} == {"training": 30, "calibration": 20, "test": 10}
    assert made.unused == 40
    labels = np.array([0, 1] * 50)
    assert [int(labels[part].sum()) for part in made.parts.values()] == [15, 10, 5]


def test_the_seed_decides() -> None:
    given_samples = samples(list(range(100)))
    first, second = (split(given_samples, Sizes(), seed, WHERE) for seed in (1, 2))
    assert not np.array_equal(first.parts["test"], second.parts["test"])


def test_the_split_is_the_same_on_every_machine() -> None:
    """Numbers that were written down: numpy promises the bits of this generator for good."""
    made = split(samples(list(range(12)), [0, 1, 2] * 4), Sizes(None, 3, 3), 7, WHERE)
    expected = {"training": [9, 0, 8, 7, 5, 1], "calibration": [3, 10, 2], "test": [6, 11, 4]}
    assert {name: part.tolist() for name, part in made.parts.items()} == expected


def test_copies_stay_together_and_are_counted() -> None:
    given_samples = samples([*range(50), *range(20)], [0] * 50 + [0] * 15 + [1] * 5)
    made = split(given_samples, Sizes(None, 20, 20), 3, WHERE)
    assert (made.copies, made.conflicting, made.dropped, made.unused) == (20, 5, 0, 0)
    check_parts(given_samples, made)
    dropped = split(given_samples, Sizes(None, 20, 20), 3, WHERE, drop_copies=True)
    assert dropped.unused == 20 and len(dropped.parts["training"]) == 10


def test_copies_across_groups_are_kept_in_one_part() -> None:
    """A silent recording of two people: their groups are not divided, nor is the recording in two parts."""
    given_samples = samples([0, 1, 2, 0, 3, 4], groups=[7, 7, 7, 9, 9, 9])
    made = split(given_samples, Sizes(None, 0, 3), 0, WHERE)
    check_parts(given_samples, made)
    assert made.dropped == 1 and len(made.parts["test"]) == 3 and len(made.parts["training"]) == 2


def test_an_official_test_split_stays() -> None:
    given_samples = samples(list(range(20)))
    made = split(given_samples, Sizes(None, 5), 0, WHERE, samples([3, 4, 100]))
    assert made.in_official == 2 and made.unused == 2 and len(made.parts["training"]) == 13
    assert "test" not in made.parts
    with pytest.raises(InputError, match="has an official test split, which stays as it is"):
        split(given_samples, Sizes(None, 5, 5), 0, WHERE, samples([3]))


def test_too_few_samples() -> None:
    with pytest.raises(InputError, match="data: 5 for training, 4 for calibration, 2 for test are asked for; there"):
        split(samples(list(range(10))), Sizes(5, 4, 2), 0, WHERE)
