"""From a spec to a chain of stages: what runs where, and what cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.allocation.place import place
from offramp.planner.chain.build import build_chain, exit_rule, fraction_bits
from offramp.planner.chain.sources import load_compared, read_sources
from offramp.planner.ir.chain import INPUT_TENSOR, Chain, cut, whole, with_threshold
from offramp.planner.ir.network import Shape
from offramp.planner.reference.confidence import to_threshold
from offramp.planner.reference.layers import run_network
from offramp.planner.reference.profile import exit_indices, profile
from offramp.planner.reference.sequence import BATCH
from offramp.planner.spec.spec import ExitSpec
from tests.helpers.networks import NOWHERE, make_layer, make_network
from tests.helpers.plans import chain_of as unplaced_chain
from tests.helpers.plans import manual_spec
from tests.helpers.specs import BRANCH, FRONT, STAGED, THREE, TINY, write_checkpoint, write_spec

DEVICE = load_device()
OWN = TINY.spec("", own="")
OWN_STAGES = """\
stages:
  - {{network: own, until: {first}, head: {{layers: [{inner}]}}, exit: {{confidence: margin, threshold: 0.5}}}}
  - {{network: own, until: {second}, head: {{layers: [{late}]}}, exit: {{confidence: margin, threshold: 0.5}}}}
  - network: own
"""
BY_NAME = {"first": "one", "inner": "inner", "second": "two", "late": "late"}
BY_NUMBER = {"first": 0, "inner": 1, "second": 2, "late": 3}


def chain_of(folder: Path, text: str) -> Chain:
    return unplaced_chain(write_spec(folder, text))


def layout(chain: Chain) -> list[tuple[str, list[str]]]:
    return [(stage.name, [slot.name for slot in stage.slots]) for stage in chain.stages]


def test_a_front_network_leaves_the_input_for_the_next(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, FRONT)
    assert layout(chain) == [
        ("front", ["front/0:small", "front/1:guess"]),
        ("main", ["main/0:first", "main/1:second", "main/2:third", "main/3:answer"]),
    ]
    assert [slot.name for slot in chain.readers(INPUT_TENSOR)] == ["front/0:small", "main/0:first"]
    assert [stage.result for stage in chain.stages] == ["front/1", "main/3"]


def test_a_branch_reads_the_tensor_at_the_cut(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, BRANCH)
    assert layout(chain) == [
        ("main-first", ["main/0:first", "head/0:exit"]),
        ("main", ["main/1:second", "main/2:third", "main/3:answer"]),
    ]
    assert [slot.name for slot in chain.readers("main/0")] == ["head/0:exit", "main/1:second"]
    assert chain.networks["head"].input_shape == Shape(8, 6, 6)  # not stated: that of the tensor


def test_three_stages(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, THREE)
    assert [name for name, _ in layout(chain)] == ["front", "main-first", "main"]
    assert [stage.result for stage in chain.stages] == ["front/1", "head/0", "main/3"]
    assert [stage.rule.measure for stage in chain.exits] == ["margin", "entropy", "margin"]
    assert [stage.rule.threshold is None for stage in chain.exits] == [False, False, True]


@pytest.mark.parametrize("names", [BY_NAME, BY_NUMBER], ids=["by name", "by number"])
def test_heads_out_of_the_own_network(tmp_path: Path, names: dict[str, object]) -> None:
    """Numbers are those of the YAML, though the layers of heads are taken out of the backbone."""
    chain = chain_of(tmp_path, OWN + OWN_STAGES.format(**names))
    assert [[slot.layer.name for slot in stage.slots] for stage in chain.stages] == [
        ["one", "inner"],
        ["two", "late"],
        ["end"],
    ]


def test_a_chain_answers_like_its_networks(tmp_path: Path) -> None:
    """Every stage's logits, the head's on the backbone's tensor, over more than one batch."""
    chain = chain_of(tmp_path, THREE)
    x = np.random.default_rng(0).integers(-128, 128, (BATCH + 3, 4, 6, 6)).astype(np.int8)
    found = profile(chain, x)
    full = run_network(chain.networks["main"], x, keep=(0,))
    exits = run_network(chain.networks["head"], full[0].astype(np.int8))[0]
    front = run_network(chain.networks["front"], x)[1]
    for logits, expected in zip(found.results, (front, exits, full[3]), strict=True):
        assert np.array_equal(logits, expected.reshape(len(x), TINY.classes))
    assert [len(one) for one in found.confidence] == [len(x)] * 3


def test_inputs_leave_at_the_first_confident_stage(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, THREE)
    x = np.random.default_rng(0).integers(-128, 128, (TINY.images, *TINY.shape)).astype(np.int8)
    found = profile(chain, x)
    middle = int(np.median(found.confidence[0]))
    late = int(np.median(found.confidence[1]))
    taken = exit_indices(with_threshold(chain, {"front": middle, "main-first": late}), found)
    margins, entropies = found.confidence[:2]
    expected = [
        0 if one >= middle else 1 if other <= late else 2 for one, other in zip(margins, entropies, strict=True)
    ]
    assert taken.tolist() == expected
    assert len(set(expected)) == 3


def test_whole_and_cut_have_the_same_slots() -> None:
    network = make_network(*(make_layer(Shape(4, 6, 6), 4) for _ in range(3)))
    split = cut("net", network, 1)
    assert [slot.name for slot in split.slots] == [slot.name for slot in whole("net", network).slots]
    assert [len(stage.slots) for stage in split.stages] == [2, 1]
    assert [stage.result for stage in split.stages] == ["net/1", "net/2"]


# In FRONT, BRANCH, THREE or OWN: what is replaced, by what, and the complaint: file, line, and words
MISTAKES = [
    (FRONT, "name: tiny", "labels: [a, b]", r"spec.yaml:2: 2 labels for 3 classes"),
    (FRONT, "input: 4x6x6", "input: 4x6x6, labels: [a, b]", r"spec.yaml:8: stage `front` has 3 classes, but 2 names"),
    (
        BRANCH,
        "until: first",
        "until: frist",
        r"spec.yaml:8: network `main` has no layer `frist`; it has 0 \(first\), 1",
    ),
    (BRANCH, "until: first", "until: 7", r"spec.yaml:8: network `main` has no layer `7`"),
    (BRANCH, "until: first", "until: second", r"head.yaml:4: .* an input of 8x3x3"),
    (BRANCH, "until: first", "until: answer", r"spec.yaml:8: .*no cut after layer `answer`: nothing is left"),
    (
        FRONT,
        "data:",
        f"  head: {{network: head.yaml, checkpoint: head.pth.tar, input: {TINY.input}}}\ndata:",
        r"spec.yaml:6: network `head` is in no stage",
    ),
    (
        FRONT,
        "- network: main",
        "- network: front",
        r"spec.yaml:10: .*stages of the same name|spec.yaml:.*several stages",
    ),
    (FRONT, "- network: main", "- {network: front, name: again}", r"spec.yaml:10: .* have run all of network `front`"),
    (THREE, "until: first, head: head", "until: first, head: front", r"spec.yaml:11: network `front` has another part"),
    (
        THREE,
        "input: 4x6x6}\n  main",
        "input: 4x2x18}\n  main",
        r"all networks read the same input, but .* `front` 4x2x18",
    ),
    (BRANCH, "threshold: 0.5", "threshold: 1.0e+12", r"spec.yaml:11: .*"),
    (OWN + OWN_STAGES.format(**BY_NAME), "until: two", "until: late", r"spec.yaml:8: .*layer `late` is part of a head"),
    (
        OWN + OWN_STAGES.format(**BY_NAME),
        "until: two, head: {layers: [late]}",
        "until: one, head: {layers: [inner]}, name: x",
        r"spec.yaml:8: .*`one` has run in an earlier",
    ),
    (
        OWN + OWN_STAGES.format(**BY_NAME),
        "[inner]",
        "[late]",
        r"own.yaml:7: layer `late` reads `two`, which is not part",
    ),
    (OWN + OWN_STAGES.format(**BY_NAME), "[inner]", "[outer]", r"spec.yaml:7: network `own` has no layer `outer`"),
    (
        OWN + OWN_STAGES.format(**BY_NAME),
        "[late]",
        "[inner]",
        r"own.yaml:5: layer `inner` reads `one`, which is not part",
    ),
]


@pytest.mark.parametrize(("text", "old", "new", "complaint"), MISTAKES, ids=[one[3][:50] for one in MISTAKES])
def test_mistakes_have_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, old: str, new: str, complaint: str
) -> None:
    assert old in text
    assert main(["plan", str(write_spec(tmp_path, text.replace(old, new, 1)))]) == 2
    errors = capsys.readouterr().err
    assert re.search(complaint, errors), errors
    assert "Traceback" not in errors


def test_a_head_must_read_where_the_cut_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, BRANCH)
    head = tmp_path / "head.yaml"
    head.write_text(head.read_text().replace("processors: 0xff,", "processors: 0xff00,"))
    assert main(["plan", str(path)]) == 2
    errors = capsys.readouterr().err
    assert "head.yaml:4: layer `exit` reads processors 0x000000000000ff00; `first` writes its output to" in errors


def test_a_head_reads_hwc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, BRANCH)
    head = tmp_path / "head.yaml"
    text = head.read_text().replace("processors: 0xff,", "").replace("op: mlp", "op: conv2d, pad: 1")
    head.write_text(text.replace("flatten: true, ", "").replace("HWC", "CHW"))
    write_checkpoint(tmp_path, "head", [(3, 8, 3, 3)])
    assert main(["plan", str(path)]) == 2
    assert "head.yaml:4: layer `exit` of a head reads a tensor; tensors are HWC" in capsys.readouterr().err


def test_processors_may_all_be_left_open(tmp_path: Path) -> None:
    """The planner puts the input where all networks can read it, and each head on the tensor at its cut."""
    path = write_spec(tmp_path, THREE)
    for name in ("front", "main", "head"):
        network = tmp_path / f"{name}.yaml"
        network.write_text(re.sub(r"(output_)?processors: \w+, ", "", network.read_text()))
        assert "processors" not in network.read_text()
    chain = unplaced_chain(path)
    readers = {slot.layer.processors for slot in chain.readers(INPUT_TENSOR)}
    assert len(readers) == 1
    assert place(chain, DEVICE).placement.highest.value > 0


def test_all_stages_have_the_same_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, FRONT)
    write_checkpoint(tmp_path, "front", [(4, 4, 3, 3), (5, 36)])
    assert main(["plan", str(path)]) == 2
    assert "spec.yaml:8: stage `front` has 5 classes, the last stage 3" in capsys.readouterr().err


def test_logits_come_from_a_layer_without_activation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, FRONT)
    front = tmp_path / "front.yaml"
    front.write_text(front.read_text().replace("output_width: 32", "activate: ReLU"))
    assert main(["plan", str(path)]) == 2
    assert "front.yaml:5: layer `guess` makes logits; `activate: None` is expected" in capsys.readouterr().err


def test_a_stage_ends_in_one_logit_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, FRONT)
    front = tmp_path / "front.yaml"
    front.write_text("\n".join(line for line in front.read_text().splitlines() if "guess" not in line))
    write_checkpoint(tmp_path, "front", [(4, 4, 3, 3)])
    assert main(["plan", str(path)]) == 2
    assert "spec.yaml:8: stage `front` gives 4x3x3; one logit a class is expected" in capsys.readouterr().err


def test_no_cut_inside_streaming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = "  - {network: streaming, until: 0, head: head, exit: {confidence: margin, threshold: 1}}\n"
    text = STAGED.spec(f"stages:\n{stages}  - network: streaming\n", streaming="fifo: true", head="")
    path = write_spec(tmp_path, text, STAGED)
    assert main(["plan", str(path)]) == 2
    errors = capsys.readouterr().err
    assert "no cut after layer `0`: layer `1` streams; the first possible cut is after it" in errors


def test_networks_to_compare_are_loaded_alone(tmp_path: Path) -> None:
    text = FRONT.replace(
        "data:", f"  own: {{network: own.yaml, checkpoint: own.pth.tar, input: {TINY.input}}}\ncompare: [own]\ndata:"
    )
    spec = manual_spec(write_spec(tmp_path, text))
    assert list(load_compared(spec, read_sources(spec, DEVICE), DEVICE)) == ["own"]
    assert set(build_chain(spec, read_sources(spec, DEVICE), DEVICE).networks) == {"front", "main"}


def test_fraction_bits_of_logits() -> None:
    """Data have 7; the sums of 8-bit weights in a 32-bit result 7 more, narrower weights fewer."""
    wide = make_layer(Shape(4, 1, 1), 2, op="linear", output_width=32)
    narrow = make_layer(Shape(4, 1, 1), 2, op="linear", output_width=32, weight_bits=4)
    assert [fraction_bits(one) for one in (wide, narrow, make_layer(Shape(4, 1, 1), 2, op="linear"))] == [14, 10, 7]


def test_an_exit_in_integers() -> None:
    layer = make_layer(Shape(4, 1, 1), 2, op="linear", output_width=32)
    rule = exit_rule(ExitSpec(NOWHERE, "margin", 0.5, 2.0), layer)
    assert (rule.threshold, rule.fraction_bits, rule.temperature_q16) == (to_threshold("margin", 0.5, 14), 14, 1 << 17)
    assert exit_rule(ExitSpec(NOWHERE, "margin", None, 1.0), layer).threshold is None
    with pytest.raises(InputError, match=r"test\.yaml:1"):
        exit_rule(ExitSpec(NOWHERE, "margin", 1e12, 1.0), layer)


WHOLE = OWN + "stages:\n  - network: own\n"


def test_layers_that_the_answer_does_not_take_are_not_run(tmp_path: Path) -> None:
    """`inner` and `late` are heads that nobody asked for."""
    chain = chain_of(tmp_path, WHOLE)
    assert layout(chain) == [("own", ["own/0:one", "own/1:two", "own/2:end"])]
    assert chain.stages[0].result == "own/2"


@pytest.mark.parametrize("answer", ["inner", "late", "end"])
def test_the_answer_may_stand_anywhere(tmp_path: Path, answer: str) -> None:
    path = write_spec(tmp_path, WHOLE)
    yaml = tmp_path / "own.yaml"
    text = yaml.read_text().replace(", output: true", "").replace(f"name: {answer},", f"name: {answer}, output: true,")
    yaml.write_text(text)
    chain = unplaced_chain(path)
    assert chain.slots[-1].layer.name == answer
    assert [slot.layer.name for slot in chain.slots[:-1]] == (["one"] if answer == "inner" else ["one", "two"])


def test_a_head_among_a_networks_layers_leaves_the_other_ends_out(tmp_path: Path) -> None:
    stages = (
        "stages:\n  - {network: own, until: one, head: {layers: [inner]}, exit: {confidence: margin, threshold: 1}}\n"
    )
    chain = chain_of(tmp_path, OWN + stages + "  - network: own\n")
    assert layout(chain) == [("own-one", ["own/0:one", "own.own-one/0:inner"]), ("own", ["own/1:two", "own/2:end"])]


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        (
            (),
            r"own.yaml:8: network `own` has several ends, .*: `inner` and `late` and `end`; mark",
        ),
        (("late", "end"), r"own.yaml:8: .*: `late` and `end`, all marked with `output: true`; only one can be"),
    ],
)
def test_ends_of_which_none_or_several_are_the_answer(tmp_path: Path, marked: tuple[str, ...], message: str) -> None:
    path = write_spec(tmp_path, WHOLE)
    yaml = tmp_path / "own.yaml"
    text = yaml.read_text().replace(", output: true", "")
    for name in marked:
        text = text.replace(f"name: {name},", f"name: {name}, output: true,")
    yaml.write_text(text)
    with pytest.raises(InputError, match=message):
        unplaced_chain(path)
