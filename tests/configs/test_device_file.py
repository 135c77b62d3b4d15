"""A device file is read strictly: whatever is wrong with it is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs import device
from offramp.configs.device import build_device
from offramp.configs.errors import InputError
from offramp.configs.lines import parse_yaml

TEXT = Path(device.__file__).with_name("max78000.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  quadrants: 4\n", "  quadrants: four\n", "`quadrants: four`; a whole number >= 0 is expected"),
        ("  quadrants: 4\n", "", "`quadrants` is missing"),
        ("  quadrants: 4\n", "  quadrants: 4\n  rows: 1\n", "unknown key `rows`"),
        ("    base: 0x50400000\n", "", "`base` is missing"),
        ('wait_states: {bits: "1:0",', 'wait_states: {bits: "0:1",', '`bits: 0:1`; "high:low" or one number'),
        ('wait_states: {bits: "1:0",', 'wait_states: {bits: "2:0",', "FIFO_CTRL.almost_full overlaps another"),
        ("FIFO_CTRL:\n      offset: 0x0", "FIFO_CTRL:\n      number: 0", "has a `offset` and no `number`"),
        ("FIFO_STAT:\n      offset: 0x4", "FIFO_STAT:\n      offset: 0x0", "FIFO_STAT and FIFO_CTRL share address"),
        ("  aon:\n    AON:", "  nowhere:\n    AON:", "there is no block `nowhere`"),
        ("access: read-only", "access: none", "`access: none`; allowed: read-write, read-only, write-only"),
        ("reset: 0x6", "reset: -1", "`reset: -1`; a whole number from 0 to 4294967295 is expected"),
        (', meaning: "The FIFO holds no word."', "", "`meaning` is missing"),
        ("part: layers, use: fit, permille: -55", "part: all, use: fit, permille: -55", "`part: all`; allowed: layers"),
    ],
)
def test_mistakes_have_a_place(old: str, new: str, complaint: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError) as caught:
        build_device(parse_yaml(TEXT.replace(old, new, 1), "max78000.yaml"))
    assert complaint in str(caught.value)
    assert all(problem.where and problem.where.line for problem in caught.value.problems)


EVIDENCE = """
evidence:
  - fact: rewrite
    assumption: "yes"
    seen: as assumed
    source: J. Doe, EvKit rev. C
    date: 2026-01-31
"""


def test_evidence() -> None:
    (found,) = build_device(parse_yaml(TEXT + EVIDENCE, "max78000.yaml")).evidence
    assert (found.fact, found.seen, found.date) == ("rewrite", "as assumed", "2026-01-31")
    assert build_device(parse_yaml(TEXT, "max78000.yaml")).evidence == ()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("date: 2026-01-31", "date: 31.1.2026", "`date: 31.1.2026`; a day as YYYY-MM-DD is expected"),
        ("    seen: as assumed\n", "", "`seen` is missing"),
        ("source:", "by:", "unknown key `by`"),
    ],
)
def test_evidence_has_a_source_and_a_date(old: str, new: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        build_device(parse_yaml(TEXT + EVIDENCE.replace(old, new), "max78000.yaml"))
    assert complaint in str(caught.value)


def test_all_mistakes_at_once() -> None:
    text = TEXT.replace("  quadrants: 4\n", "  quadrants: four\n").replace("    base: 0x50400000\n", "")
    with pytest.raises(InputError) as caught:
        build_device(parse_yaml(text, "max78000.yaml"))
    assert len(caught.value.problems) == 2
