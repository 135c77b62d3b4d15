"""The mutation report: mutants are what they say, nothing fails without one, and what is wrong is noticed."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from bench.mutants import Mutant, mutants, mutate
from bench.mutation import FieldResult, field_results, load_reasons, report
from bench.mutation_checks import NETWORK, PROGRAM, TABLE, VENDOR, all_checks, first_failure
from bench.mutation_rules import RULES, Rule
from bench.mutation_suites import SUITES
from offramp.configs.device import load_device
from offramp.configs.errors import InputError

DEVICE = load_device()
OWN = all_checks(None)
SUITE_78002 = SUITES["MAX78002"]
OWN_78002 = all_checks(None, SUITE_78002)
NOTICED: list[str | None] = [VENDOR] * len(RULES)


def test_mutants_change_one_field_by_one_bit() -> None:
    lows = {
        kind: mutate(DEVICE, Mutant("POST", "shift", kind)).registers["POST"].by_name["shift"]
        for kind in ("up", "down", "wide", "narrow")
    }
    assert {kind: (field.low, field.width) for kind, field in lows.items()} == {
        "up": (14, 4),
        "down": (12, 4),
        "wide": (13, 5),
        "narrow": (13, 3),
    }


def test_neighbours_give_up_the_bit_that_is_taken() -> None:
    up = mutate(DEVICE, Mutant("LCTRL1", "passes", "up")).registers["LCTRL1"].by_name
    assert (up["write_step"].low, up["write_step"].width) == (5, 3)
    down = mutate(DEVICE, Mutant("LCTRL1", "write_step", "down")).registers["LCTRL1"].by_name
    assert (down["passes"].low, down["passes"].width) == (0, 3)
    wide = mutate(DEVICE, Mutant("LCTRL0", "master", "wide")).registers["LCTRL0"]
    assert wide.by_name["parallel"].width == 0
    assert wide.decode(1 << 6) == dict.fromkeys(wide.by_name, 0) | {"master": 2}


def test_every_mutant_is_another_device_without_overlaps() -> None:
    seen = set()
    for mutant in mutants(DEVICE):
        changed = mutate(DEVICE, mutant)
        differing = [name for name, register in changed.registers.items() if register != DEVICE.registers[name]]
        assert differing == [mutant.register]
        fields = changed.registers[mutant.register].fields
        bits = [set(range(field.low, field.low + field.width)) for field in fields]
        assert not any(one & other for one, other in combinations(bits, 2))
        assert set().union(*bits) <= set(range(32))
        seen.add(mutant.place)
    assert seen == {f"{r.name}.{field.name}" for r in DEVICE.registers.values() for field in r.fields}


def test_nothing_fails_without_a_mutant() -> None:
    assert [check.name for check in OWN if check.fails(DEVICE)] == []


def test_nothing_fails_without_a_mutant_of_the_other_device() -> None:
    assert [check.name for check in OWN_78002 if check.fails(SUITE_78002.right)] == []


def test_reasons_of_the_other_device_name_its_fields() -> None:
    assert "STRM0.fifo_go" in load_reasons(suite=SUITE_78002)


@pytest.mark.parametrize(
    ("mutant", "witness"),
    [
        (Mutant("RCNT", "row_step", "up"), NETWORK),
        (Mutant("OCHAN", "last", "down"), NETWORK),
        (Mutant("SNOOP2_C1", "link", "up"), PROGRAM),
        (Mutant("SNOOP1_AM", "data_memory", "down"), PROGRAM),
        (Mutant("TEST", "clear", "up"), PROGRAM),
        (Mutant("NXTLYR", "next", "up"), PROGRAM),
        (Mutant("LCTRL0", "bypass", "down"), PROGRAM),
        (Mutant("STRM0", "fifo_go", "up"), TABLE),
    ],
    ids=str,
)
def test_mutants_of_the_other_device_are_noticed(mutant: Mutant, witness: str) -> None:
    found = first_failure(OWN_78002, mutate(SUITE_78002.right, mutant))
    assert found is not None
    assert found.witness == witness


def test_no_vendor_program_fails_without_a_mutant(corpus: Path) -> None:
    vendor = [check for check in all_checks(corpus) if check.witness == VENDOR]
    assert len(vendor) > 10
    assert [check.name for check in vendor if check.fails(DEVICE)] == []


@pytest.mark.parametrize(
    ("mutant", "witness"),
    [
        (Mutant("POST", "shift", "up"), NETWORK),
        (Mutant("LCTRL0", "relu", "down"), NETWORK),
        (Mutant("RCNT", "last", "narrow"), NETWORK),
        (Mutant("TEST", "data_zero", "up"), PROGRAM),
        (Mutant("CTRL", "one_shot", "down"), PROGRAM),
        (Mutant("GCFR_RESET", "quadrants", "up"), PROGRAM),
        (Mutant("SRAM", "deep_sleep", "wide"), TABLE),
    ],
    ids=str,
)
def test_known_mutants_are_noticed_without_the_vendors_programs(mutant: Mutant, witness: str) -> None:
    found = first_failure(OWN, mutate(DEVICE, mutant))
    assert found is not None
    assert found.witness == witness


def test_a_vendor_program_notices_a_moved_field(corpus: Path) -> None:
    found = first_failure(all_checks(corpus), mutate(DEVICE, Mutant("WPTR_TOFF", "step", "up")))
    assert found is not None
    assert found.witness == VENDOR


def test_a_program_that_reads_as_before_does_not_hide_a_mistake_in_the_arithmetic(corpus: Path) -> None:
    (rule,) = (rule for rule in RULES if rule.name == "relu" and rule.mistake == "does nothing")
    with rule.broken():
        found = first_failure(all_checks(corpus), DEVICE)
    assert found is not None
    assert found.witness == VENDOR


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_mistake_in_the_arithmetic_is_noticed_without_the_vendors_programs(rule: Rule) -> None:
    with rule.broken():
        assert first_failure(OWN, DEVICE) is not None


def test_mutants_are_put_together_by_field() -> None:
    found = {
        Mutant("POST", "shift", "up"): VENDOR,
        Mutant("POST", "shift", "wide"): TABLE,
        Mutant("SRAM", "power_down", "up"): TABLE,
        Mutant("SRAM", "power_down", "down"): VENDOR,
        Mutant("MLAT", "data", "narrow"): None,
    }
    shift, power_down, data = field_results(found)
    assert (shift.name, shift.killed, shift.verified) == ("POST.shift", True, True)
    assert (power_down.killed, power_down.verified) == (True, False)
    assert (data.killed, data.verified) == (False, False)
    assert shift.line.split() == ["POST.shift", "V", ".", "T", "."]


VERIFIED = FieldResult("POST.shift", {"up": VENDOR})
WEAK = FieldResult("SRAM.power_down", {"up": TABLE})
SURVIVOR = FieldResult("MLAT.data", {"narrow": None})


def test_a_weak_field_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([VERIFIED, WEAK], NOTICED, {}) == 1
    assert "SRAM.power_down: NO REASON" in capsys.readouterr().out
    assert report([VERIFIED, WEAK], NOTICED, {"SRAM.power_down": "no effect"}) == 0
    out = capsys.readouterr().out
    assert "SRAM.power_down: no effect" in out
    assert "killed 2 of 2 fields (100%): 1 by programs when they move, 1 only by a second reading" in out


def test_a_reason_that_is_not_needed_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([VERIFIED], NOTICED, {"POST.shift": "no effect"}) == 1
    assert "POST.shift: has a reason, but programs notice when it moves" in capsys.readouterr().out


def test_too_many_survivors_fail_even_with_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {"MLAT.data": "cannot move"}
    assert report([VERIFIED] * 18 + [SURVIVOR], NOTICED, reasons) == 1
    assert report([VERIFIED] * 19 + [SURVIVOR], NOTICED, reasons) == 0
    assert "killed 19 of 20 fields (95%)" in capsys.readouterr().out


def test_an_unnoticed_mistake_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([VERIFIED], [None, *NOTICED[1:]], {}) == 1
    out = capsys.readouterr().out
    assert f"-  {RULES[0]}" in out
    assert f"arithmetic {len(RULES) - 1} of {len(RULES)}" in out


@pytest.mark.parametrize(
    ("fields", "message"),
    [("[POST.bits]", "`POST.bits` is no field"), ("[POST.shift, POST.shift]", "`POST.shift` stands twice")],
)
def test_reasons_are_read_strictly(tmp_path: Path, fields: str, message: str) -> None:
    path = tmp_path / "reasons.yaml"
    path.write_text(f"reasons:\n  - fields: {fields}\n    reason: none\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"reasons.yaml:2: {message}"):
        load_reasons(path)
