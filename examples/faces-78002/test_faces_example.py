"""The example's figures and answers; run with `pytest examples/faces-78002`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from offramp import api
from offramp.planner.reference.layers import run_network

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text(encoding="utf-8")
MODELS = ("detect", "embed", "persons")


@pytest.fixture(scope="module")
def image() -> api.PlannedImage:
    return api.plan_image([HERE / "faces.yaml"])


def row(name: str) -> list[int]:
    """Our numbers of a row of the README's table."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {name} |"))
    return [int(number.replace(",", "")) for number in re.findall(r"(?<=\| )[\d,]+", line)][:3]


def test_every_layer_has_a_slot_of_its_own(image: api.PlannedImage) -> None:
    slots = [slot for made in image.models for program in made.lowered.programs for slot in program.positions]
    assert sorted(slots) == list(range(92)) and "slots 0 to 91 of 128" in README


def test_biases_of_all_models_lie_side_by_side(image: api.PlannedImage) -> None:
    used = {
        (block.quadrant, block.start + byte)
        for made in image.models
        for name, block in made.plan.placed.placement.biases.items()
        for byte in range(next(one.length for one in made.plan.placed.problem.biases if one.name == name))
    }
    assert f"{len(used):,} of 8,192 bytes" in README


def test_a_switch_writes_what_the_readme_says(image: api.PlannedImage) -> None:
    for number, name in enumerate(MODELS):
        places = [image.device.locate(write.address) for write in image.entry(number)]
        assert [one.name for one in places if one].count("LCNT_MAX") == len(image.entry(number)) - 1
        assert row(name) == [len(places), 0, 0]


def test_persons_know_the_embeddings_of_the_pictures(image: api.PlannedImage) -> None:
    network = image.model("embed").chain.networks["embed"]
    last = len(network.layers) - 1
    found = run_network(network, np.load(HERE / "embed.npz")["x"][:2], [last])[last]
    inputs = np.load(HERE / "persons.npz")["x"]
    assert np.array_equal(found.reshape(2, 64), inputs[:2].reshape(2, 64))
    assert api.reference(image.model("persons"), inputs).classes.tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_the_firmware_answers_for_all_and_weights_are_written_once(tmp_path: Path) -> None:
    """An input of each model."""
    pytest.importorskip("unicorn")
    built = api.build_image([HERE / "faces.yaml"], tmp_path / "faces", images=1)
    verified = built.report.verified
    assert verified and (verified.answers, verified.mismatches, built.report.verified_switches) == (3, 0, 2)
    assert f"{4 * verified.weight_words + verified.bias_words:,} of them weights and biases" in README
    for entry in built.report.entries:
        assert [entry.register_writes, entry.bias_words, entry.weight_words] == row(entry.model)
