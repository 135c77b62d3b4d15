"""docs/PLAN.md, REPORT.md and DATA.md document every key of plan.json, report.json and data.json, and no other."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from offramp.data.sets import DataRecord
from offramp.pipeline.report import ImageReport, Report
from offramp.planner.plan import PlanRecord
from tests.helpers.paths import ROOT

RENAMED = {"switches[].source": "switches[].from", "switches[].target": "switches[].to"}
# Keys that another page explains:
ELSEWHERE = {"docs/PLAN.md": ("choice",), "docs/REPORT.md": ("choice", "calibration"), "docs/DATA.md": ()}


def keys_of(kind: type, prefix: str, elsewhere: tuple[str, ...]) -> Iterator[str]:
    """Keys of the JSON form of a dataclass; `NAME[]` for lists. What holds keys of its own counts only by them, or if
    it may be null."""
    hints = typing.get_type_hints(kind)
    for field in fields(kind):
        path, inner, nullable = prefix + field.name, hints[field.name], False
        if typing.get_origin(inner) in (types.UnionType, typing.Union):
            inner, nullable = next(one for one in typing.get_args(inner) if one is not types.NoneType), True
        if typing.get_origin(inner) is tuple:
            path, inner = f"{path}[]", typing.get_args(inner)[0]
        nested = is_dataclass(inner) and path not in elsewhere
        if not nested or nullable:
            yield RENAMED.get(path, path)
        if nested:
            yield from keys_of(typing.cast(type, inner), f"{path}.", elsewhere)


def documented(page: str) -> list[str]:
    """Keys in the first column of the page's first table; `.key` is a neighbour of the row's first key."""
    text = (ROOT / page).read_text(encoding="utf-8").split("\n# ")[0]
    found = []
    for cell in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE):
        first, *others = re.findall("`([^`]*)`", cell)
        found += [first, *((first.rpartition(".")[0] + other) if other.startswith(".") else other for other in others)]
    return found


@pytest.mark.parametrize(
    ("page", "record"), [("docs/PLAN.md", PlanRecord), ("docs/REPORT.md", Report), ("docs/DATA.md", DataRecord)]
)
def test_a_page_has_the_keys_of_its_file(page: str, record: type[Any]) -> None:
    found = documented(page)
    assert len(found) == len(set(found))
    assert set(found) == set(keys_of(record, "", ELSEWHERE[page]))


def test_the_report_of_several_models_is_documented() -> None:
    text = (ROOT / "docs" / "REPORT.md").read_text(encoding="utf-8")
    section = text.partition("\n# report.json of several models\n")[2].partition("\n# ")[0]
    found = []
    for cell in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE):
        first, *others = re.findall("`([^`]*)`", cell)
        found += [first, *((first.rpartition(".")[0] + other) if other.startswith(".") else other for other in others)]
    as_above = ("models[]", "memory", "verified", "firmware")
    assert set(found) == set(keys_of(ImageReport, "", as_above))


def test_keys_are_those_of_fields() -> None:
    keys = list(keys_of(PlanRecord, "", ()))
    assert {"stages[].threshold", "calibration", "calibration.risk.delta", "placement.objectives[].bound"} <= set(keys)
    assert "stages" not in keys and "placement" not in keys
    assert typing.get_origin(typing.get_type_hints(PlanRecord)["digests"]) is Mapping
