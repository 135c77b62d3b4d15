"""Random applications with everything at once answer as the integer reference, bit for bit, or are refused.

`python -m bench.applications 2000` draws many; these are a few of its seeds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.planner.ai8x.load import Options, load_network
from offramp.planner.ir.network import Layer, Network
from tests.helpers.application_models import any_network
from tests.helpers.application_runs import FEATURES, judged
from tests.helpers.applications import drawn
from tests.helpers.network_files import write_network_files
from tests.helpers.searches import SETTINGS
from tests.helpers.specs import DATA, TINY, write_files, write_network

SEEDS = (10, 17, 37, 43, 88)
FIRMWARE = 88  # with weights outside flash

SAME = (
    *("op", "inputs", "operands", "eltwise", "pool", "kernel", "pad", "dilation", "flatten", "activation"),
    *("weight_bits", "output_width", "streaming", "data_format", "in_shape", "out_shape", "join", "crop", "source"),
)


@pytest.mark.slow
def test_among_junk_the_models_in_random_order(tmp_path: Path) -> None:
    """By registers; all of what applications can have occurs in one of these."""
    had: set[str] = set()
    for number in SEEDS:
        (tmp_path / str(number)).mkdir()
        outcome = judged(drawn(number), tmp_path / str(number), firmware=False)
        assert (number, outcome.refused, outcome.wrong) == (number, "", ()) and outcome.answers > 0
        had |= set(outcome.features)
    assert had >= set(FEATURES) | {"2 models", "3 models"}


@pytest.mark.slow
def test_as_firmware(tmp_path: Path) -> None:
    outcome = judged(drawn(FIRMWARE), tmp_path, firmware=True)
    assert (outcome.refused, outcome.wrong) == ("", ()) and outcome.firmware


@settings(SETTINGS, max_examples=max(1, SETTINGS.max_examples // 4))
@given(any_network())
def test_networks_are_read_back_as_they_were_drawn(tmp_path_factory: pytest.TempPathFactory, network: Network) -> None:
    folder = tmp_path_factory.mktemp("network")
    write_network_files(folder, "net", network)
    options = Options(fifo=network.fifo, avg_pool_rounding=network.avg_pool_rounding)
    path, shape = folder / "net.yaml", network.input_shape
    read = load_network(path, load_device(), folder / "net.pth.tar", input_shape=shape, options=options)
    for layer, other in zip(network.layers, read.layers, strict=True):
        assert values(layer) == values(other)
        pairs = ((layer.weights, other.weights), (layer.bias, other.bias))
        assert all(np.array_equal(np.array(one), np.array(read_back)) for one, read_back in pairs)


def values(layer: Layer) -> list[object]:
    """What must be the same, but for flags of a pooling that does nothing."""
    pooled = (layer.pool_stride, layer.pool_average) if layer.pool != (1, 1) else layer.pool_stride
    return [*(getattr(layer, name) for name in SAME), pooled, layer.target and layer.target.first]


GAPPED = """\
  - {name: one, op: conv2d, pad: 1, activate: ReLU, data_format: HWC}
  - {name: two, op: conv2d, pad: 1, activate: ReLU, in_sequences: input}
  - {name: sum, op: conv2d, pad: 1, in_sequences: [one, two], eltwise: add, max_pool: 2, pool_stride: 2}
  - {name: answer, op: mlp, flatten: true, output_width: 32}
"""


def test_a_head_does_not_read_words_with_others_in_between(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`one` is an operand of `sum`, so that its words alternate with those of `two`."""
    write_files(tmp_path)
    write_network(tmp_path, "gapped", GAPPED, ((8, 4, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3), (3, 72)))
    for cut, code in (("one", 2), ("sum", 0)):
        stages = f"  - {{network: gapped, until: {cut}, head: own, exit: {{confidence: margin, threshold: 1}}}}\n"
        shape = (3, 8 * (36 if cut == "one" else 9))
        write_network(tmp_path, "own", "  - {name: exit, op: mlp, flatten: true, output_width: 32}\n", (shape,))
        networks = "".join(
            f"  {name}: {{network: {name}.yaml, checkpoint: {name}.pth.tar{keys}}}\n"
            for name, keys in (("gapped", f", input: {TINY.input}"), ("own", ""))
        )
        spec = tmp_path / "spec.yaml"
        spec.write_text(f"offramp: 1\nnetworks:\n{networks}{DATA}stages:\n{stages}  - {{network: gapped}}\n")
        assert main(["plan", str(spec)]) == code
    said = " ".join(capsys.readouterr().err.split())
    assert "layer `exit` of the head of stage `gapped-one` reads what `one` writes" in said
    assert "written with gaps (`write_gap: 1`)" in said and "own.yaml:" in said
