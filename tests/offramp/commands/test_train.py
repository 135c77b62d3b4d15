"""`offramp train` on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.training import proposing
from tests.helpers.paths import ROOT
from tests.helpers.training import SPEC, write_training

QUICK = SPEC + "fronts: {count: 1}\nheads: none\nbudget: 1 s\n"


@pytest.mark.slow
def test_it_prints_what_it_found_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposing, "FRONTS", 3)
    spec = write_training(tmp_path, QUICK)
    assert main(["train", str(spec), "-o", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())  # lines are folded
    assert " fronts, about " in words and " s left ..." in words
    assert "each before main on 60 images" in words and ": kept" in words
    assert "training, validation part: 60 images; networks were compared on it" in words
    assert f"next: offramp build {tmp_path}/out/spec.yaml" in text.replace("\n", "")
    assert main(["train", str(spec), "-o", str(tmp_path / "out"), "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["name"] == "small"
    assert shown == (tmp_path / "out" / "report.json").read_text()


def test_a_missing_pytorch_is_told(tmp_path: Path) -> None:
    spec = write_training(tmp_path, QUICK)
    call = f"main(['train', {str(spec)!r}, '-o', {str(tmp_path / 'out')!r}])"
    script = f"import sys; sys.modules['torch'] = None\nfrom offramp.cli import main\nsys.exit({call})"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and not (tmp_path / "out").exists()
    assert run.stderr.startswith("offramp train: training needs PyTorch; in the folder of Offramp: ")


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_training(tmp_path, QUICK.replace("budget: 1 s", "budget: soon"))
    assert main(["train", str(spec), "-o", str(tmp_path / "out")]) == 2
    assert f"{spec}:8: `budget: soon`; a time such as" in capsys.readouterr().err
