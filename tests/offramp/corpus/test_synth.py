"""Our placement and generator on the corpus: the vendor's answers decide."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import Damaged
from offramp.corpus import cases
from offramp.corpus.synth import synth_case

DEVICE = load_device()

# What the corpus itself or the README explains: the vendor's answer to these two is not what the memory layout gives
# (its tool splits channels where the hardware takes alternating words); and one fits only where its YAML lets a layer
# write over what it reads.
UNEQUAL = {"test-multilayer-eltwise", "test-multilayer-eltwise__write-zero-registers"}
OVERLAPPING = {"syn-kinetics-kat"}


@pytest.mark.slow
@pytest.mark.parametrize("free", [False, True], ids=["places of the YAML", "places chosen"])
@pytest.mark.parametrize("part", range(8))
def test_every_corpus_network(corpus: Path, part: int, free: bool) -> None:
    """A stride of the corpus at a time, so that several workers share it."""
    folders = sorted(path for path in (corpus / "cases").iterdir() if path.is_dir())[part::8]
    failed = {folder.name: reasons for folder in folders if (reasons := synth_case(folder, DEVICE, free))}
    assert set(failed) <= UNEQUAL | (OVERLAPPING if free else set()), failed
    for name in set(failed) & UNEQUAL:
        assert "output values differ" in failed[name][0]
    for name in set(failed) & OVERLAPPING:
        assert "the data do not fit" in failed[name][0]


def test_command_counts_and_fails(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [corpus / "cases" / name for name in ("net-mnist-extrasmall", "test-multilayer-eltwise")]
    args = argparse.Namespace(
        cases=chosen, workers=None, cluster=None, device=None, quiet=False, verbose=False, json=False
    )
    assert cases.judge_cases(args, partial(synth_case, free=False)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("test-multilayer-eltwise: ")
    assert lines[-1] == "1 passed, 1 failed"


def test_answers_that_cannot_be_read(corpus: Path, tmp_path: Path) -> None:
    source = corpus / "cases" / "net-mnist-extrasmall"
    for name in ("network.yaml", "input.npy", "weights.npz", "meta.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "outputs.npz").write_bytes((source / "outputs.npz").read_bytes()[:500])
    with pytest.raises(Damaged, match=r"outputs\.npz: is not an \.npz file with plain arrays, or damaged: "):
        synth_case(tmp_path, DEVICE)


def test_damaged_weights_are_noticed(corpus: Path, tmp_path: Path) -> None:
    """The judge can fail: the same case with one weight changed."""
    source = corpus / "cases" / "net-mnist-extrasmall"
    for name in ("network.yaml", "input.npy", "outputs.npz", "meta.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    weights = dict(np.load(source / "weights.npz"))
    weights["w0"] = weights["w0"].copy()
    weights["w0"].flat[4] ^= 64
    np.savez(tmp_path / "weights.npz", **weights)
    assert "differ" in synth_case(tmp_path, DEVICE)[0]
