"""The tables in the READMEs of examples are those that their script prints."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.paths import EXAMPLES, ROOT

SPECS = {
    "mnist": ["alone", "spec", "auto", "branch", "front-alone", "single-alone"],
    "fashion-mnist": ["alone", "spec", "auto", "front-alone", "single-alone"],
}


@pytest.mark.slow
@pytest.mark.parametrize("example", SPECS)
def test_the_readme_has_what_is_printed(example: str) -> None:
    specs = [str(EXAMPLES / example / f"{name}.yaml") for name in SPECS[example]]
    command = [sys.executable, str(EXAMPLES / "figures.py"), *specs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    page = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    assert len(done.stdout.splitlines()) > len(specs)
    assert [line for line in done.stdout.splitlines() if line not in page] == []


def test_a_table_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, str(EXAMPLES / "figures.py"), "nothing.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "nothing.yaml" in done.stderr and "Traceback" not in done.stderr
