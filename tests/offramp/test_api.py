"""The public Python interface: the page's examples run, results are those of the command line, nothing prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offramp
from offramp import api
from tests.helpers.paths import ROOT
from tests.helpers.specs import write_staged

PAGE = ROOT / "docs" / "API.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for example in examples():
        exec(compile(example, str(PAGE), "exec"), names)
    simulated = names["simulated"]
    assert isinstance(simulated, api.Simulated) and simulated.mismatches == ()


def test_every_public_function_has_an_example() -> None:
    text = "\n".join(examples())
    functions = [name for name in api.__all__ if name[0].islower() and name != "load_plan"]
    assert [name for name in functions if f"offramp.{name}(" not in text] == []


def test_the_stub_names_what_the_package_has() -> None:
    stub = (ROOT / "offramp" / "__init__.pyi").read_text(encoding="utf-8")
    assert sorted(re.findall(r"import (\w+) as \1$", stub, re.MULTILINE)) == sorted(api.__all__)
    for name in api.__all__:
        assert getattr(offramp, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="has no attribute 'anything'"):
        _ = offramp.anything  # type: ignore[attr-defined]


def test_the_package_lists_its_public_names() -> None:
    """For completion in an interpreter, and for `help`."""
    assert set(api.__all__) <= set(dir(offramp))


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = "import sys, offramp; print('numpy' in sys.modules or 'ortools' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_nothing_prints_and_answers_have_their_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_staged(tmp_path)
    planned = offramp.plan(spec)
    x = np.load(tmp_path / "test.npz")["x"]
    answers = offramp.reference(planned, x)
    assert answers.classes.dtype == answers.exit_index.dtype == np.int64
    assert answers.results.dtype == np.int32 and answers.results.shape[0] == len(x)
    assert answers.results.argmax(axis=1).tolist() == answers.classes.tolist()
    one = offramp.reference(planned, x[3])
    assert one.results.tolist() == answers.results[3:4].tolist()
    assert capsys.readouterr() == ("", "")


def test_a_plan_is_read_from_its_file_and_from_the_folder_of_a_build(tmp_path: Path) -> None:
    spec = write_staged(tmp_path)
    folder = tmp_path / "build"
    offramp.build(spec, folder, images=1)
    one, other = offramp.load_plan(folder), offramp.load_plan(folder / "plan.json")
    assert one.plan.placed.placement == other.plan.placed.placement
    steps: list[str] = []
    offramp.simulate(
        folder, np.load(tmp_path / "test.npz")["x"][:1], progress=offramp.Progress(steps.append, lambda *_: None)
    )
    assert steps == ["running the firmware on the virtual board"]


def test_inputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    planned = offramp.plan(write_staged(tmp_path))
    with pytest.raises(offramp.InputError, match=r"integers .* are expected"):
        offramp.reference(planned, np.zeros((1, 2, 3), np.int8))
    with pytest.raises(offramp.InputError, match="1 to"):
        offramp.compare()


@pytest.mark.parametrize("images", [-1, True, 1.5, "3"])
def test_a_number_of_images_that_is_none_is_refused(images: Any, tmp_path: Path) -> None:
    with pytest.raises(offramp.InputError, match=r"a whole number from 0 on, or None for all"):
        offramp.build(write_staged(tmp_path), tmp_path / "out", images=images)
    assert not (tmp_path / "out").exists()


def test_what_is_not_installed_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("unicorn", "elftools", "elftools.elf.elffile"):
        monkeypatch.setitem(sys.modules, module, None)
    spec = write_staged(tmp_path)
    with pytest.raises(offramp.InputError, match=r"^pyelftools is needed"):
        offramp.build(spec, tmp_path / "out")
    with pytest.raises(offramp.InputError, match=r"^unicorn is needed"):
        offramp.simulate(tmp_path, np.zeros((1, 4, 6, 6), np.int8))
