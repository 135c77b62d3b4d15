"""Faults on the virtual board: the runtime says so, or its answers are right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.fault_board import RIGHT, WRONG, Subject, make_subject, run_trial
from bench.fault_calls import from_another_task, from_interrupts, in_phases
from bench.fault_lines import judge
from bench.fault_rows import Row, rows
from bench.faults import PAGE, try_faults, unnoticed
from offramp.planner.tasks.executor import IN_PROCESS

EXPECTED = {
    "never done": {"E_TIMEOUT"},
    "done late: ten times the cycles": {"E_TIMEOUT"},
    "done late: twice the cycles": set(),
    "done early: at once, without results": {"E_EARLY"},
    "hangs until it is reset": {"E_TIMEOUT"},
    "interrupt lost": set(),
    "interrupt late": set(),
    "interrupt twice": set(),
    "interrupt stuck": set(),
    "power lost for a moment: between calls": {"E_POWER"},
    "block absent from the start, reads give ones": {"E_POWER"},
    "bit flipped in flash: weights": {"E_IMAGE"},
    "bit flipped in flash: other tables": {"E_IMAGE"},
}


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return make_subject(tmp_path_factory.mktemp("faults"))


def named(subject: Subject) -> dict[str, Row]:
    return {row.name: row for row in rows(subject)}


@pytest.mark.slow
def test_a_part_of_the_table(subject: Subject) -> None:
    found = named(subject)
    chosen = [replace(found[name], trials=found[name].trials[:2]) for name in EXPECTED]
    lines = list(try_faults(subject, chosen, IN_PROCESS))
    assert unnoticed(lines) == []
    assert {line.name: {status for status, _ in line.default.statuses} for line in lines} == EXPECTED
    lasting = {line.name for line in lines if line.default.recovered is None}
    assert all("flash" in name or "absent" in name for name in lasting)
    assert all(line.default.recovered in (None, 0, 1) for line in lines)


@pytest.mark.slow
def test_a_changed_register_is_noticed_by_its_check(subject: Subject) -> None:
    row = named(subject)["live register changed"]
    found = [run_trial(subject, trial) for trial in row.checked()[:6]]
    assert judge(found).statuses == (("E_MEMORY", 6),)
    assert judge(found).recovered == 1


@pytest.mark.slow
def test_calls_at_a_wrong_time(subject: Subject) -> None:
    for met in (*from_another_task(subject, "offramp_load"), *from_interrupts(subject, "offramp_close")[:4]):
        assert (met.status, set(met.outcomes)) == ("BUSY", {RIGHT})
    assert {one.status for one in in_phases(subject, "offramp_infer")} == {"OK", "BUSY", "NOT_READY"}


def test_the_page_has_every_row(subject: Subject) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in named(subject) if f"| {name} |" not in text] == []


def test_outcomes_are_summed_up() -> None:
    found = judge([[RIGHT, RIGHT], [RIGHT, "E_POWER", RIGHT], [RIGHT, WRONG, RIGHT], ["E_IMAGE"]])
    assert (found.trials, found.harmless, found.wrong, found.recovered) == (4, 1, 1, None)
    assert found.statuses == (("E_IMAGE", 1), ("E_POWER", 1))
    assert judge([["E_POWER", "E_POWER", RIGHT]]).recovered == 2
