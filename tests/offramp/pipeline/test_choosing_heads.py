"""Heads among the candidates of `exits: auto`: where they fit, heads out of main's own layers, freed processors."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.plan import Plan, load_plan, plan_json
from tests.helpers.plans import plan_of as planned_of
from tests.helpers.specs import DATA, TINY, write_network, write_spec

DEVICE = load_device()
# Labels are random, and any accuracy will do: the cheapest stage answers everything.
CHOOSE = "choose: {data: calibration, accuracy_drop: 100}\nconfidence: margin\n"
APART = f"""\
offramp: 1
networks:
  head: {{network: head.yaml, checkpoint: head.pth.tar}}
  main: {{network: main.yaml, checkpoint: main.pth.tar, input: {TINY.input}}}
{DATA}{CHOOSE}exits: auto
main: main
candidates:
  - {{until: first, head: head}}
"""
OWN = f"""\
offramp: 1
networks:
  own: {{network: own.yaml, checkpoint: own.pth.tar, input: {TINY.input}}}
{DATA}{CHOOSE}exits: auto
main: own
candidates:
  - {{until: one, head: {{layers: [inner]}}}}
  - {{head: {{layers: [late]}}, name: late}}
"""

SMALL = "  - {op: mlp, processors: 0xff, flatten: true, output_width: 32, data_format: HWC}\n"


def plan_of(path: Path) -> Plan:
    return planned_of(path).plan


def names(plan: Plan) -> list[str]:
    assert plan.choice is not None
    return [one.name for one in plan.choice.candidates]


def read_back(plan: Plan, folder: Path) -> Plan:
    (folder / "plan.json").write_text(plan_json(plan, folder))
    return load_plan(folder / "plan.json", DEVICE)


def layout(plan: Plan) -> list[list[str]]:
    return [[slot.name for slot in stage.slots] for stage in plan.chain.stages]


def test_a_head_without_a_cut_is_tried_wherever_it_fits(tmp_path: Path) -> None:
    """Only layer `first` writes 8x6x6."""
    plan = plan_of(write_spec(tmp_path, APART.replace("until: first, ", "")))
    assert names(plan) == ["head-0"]
    assert layout(plan)[0] == ["main/0:first", "head/0:exit"]
    assert layout(read_back(plan, tmp_path)) == layout(plan)
    closed = plan_of(write_spec(tmp_path, APART.replace("head: head", "head: head, name: head-0")))
    assert closed.choice is not None and plan.choice is not None
    assert closed.choice == plan.choice


def test_a_head_that_fits_several_cuts_is_a_candidate_at_each(tmp_path: Path) -> None:
    """Both `second` and `third` write 8x3x3; but a head belongs to one stage."""
    path = write_spec(tmp_path, APART.replace("until: first, ", ""))
    write_network(tmp_path, "head", SMALL, [(TINY.classes, 72)])
    plan = plan_of(path)
    assert names(plan) == ["head-1", "head-2"]
    assert plan.choice is not None
    assert {one.stages for one in plan.choice.chains} == {("main",), ("head-1", "main"), ("head-2", "main")}


def test_a_head_that_fits_nowhere_is_refused_with_the_reasons(tmp_path: Path) -> None:
    text = APART.replace("until: first, ", "").replace("head.", "front.")
    path = write_spec(tmp_path, text)
    with pytest.raises(InputError) as caught:
        plan_of(path)
    assert f"{path}:11: head `head` fits nowhere in `main`: after layer 0: " in str(caught.value)
    assert "after layer 1, 2: " in str(caught.value)


def test_without_candidates_every_network_is_tried_wherever_it_fits(tmp_path: Path) -> None:
    text = APART[: APART.index("candidates:")].replace(
        "  main:", f"  front: {{network: front.yaml, checkpoint: front.pth.tar, input: {TINY.input}}}\n  main:"
    )
    plan = plan_of(write_spec(tmp_path, text))
    assert names(plan) == ["head-0", "front"]
    assert layout(read_back(plan, tmp_path)) == layout(plan)
    path = write_spec(tmp_path, text.replace("head.", "own."))
    with pytest.raises(InputError) as caught:
        plan_of(path)
    assert f"{path}:3: network `head` cannot run before `main`: " in str(caught.value)
    assert "; and head `head` fits nowhere in `main`: after layer 0: " in str(caught.value)
    path = write_spec(
        tmp_path, "".join(line for line in text.splitlines(keepends=True) if "front" not in line and "head" not in line)
    )
    with pytest.raises(InputError, match="there is no network besides `main` that could answer early"):
        plan_of(path)


def test_heads_out_of_mains_own_layers(tmp_path: Path) -> None:
    """Main is what is left, whichever of them a chain has."""
    path = write_spec(tmp_path, OWN)
    plan = plan_of(path)
    assert names(plan) == ["own-one", "late-2"]
    assert plan.choice is not None
    assert {one.stages for one in plan.choice.chains} == {
        ("own",),
        ("own-one", "own"),
        ("late-2", "own"),
        ("own-one", "late-2", "own"),
    }
    assert layout(plan)[0] == ["own/0:one", "own.own-one/0:inner"]
    assert layout(plan)[1] == ["own/1:two", "own/2:end"]
    assert layout(read_back(plan, tmp_path)) == layout(plan)
    assert main(["plan", str(path)]) == 0


@pytest.mark.parametrize("network", ["head", "main"])
def test_freed_processors_in_a_choice(tmp_path: Path, network: str) -> None:
    kept = plan_of(write_spec(tmp_path, APART))
    freed = APART.replace(f"{network}.pth.tar", f"{network}.pth.tar, processors: free")
    if network == "main":  # the head reads what main writes, where main writes it
        freed = freed.replace("head.pth.tar", "head.pth.tar, processors: free")
    plan = plan_of(write_spec(tmp_path, freed))
    assert plan.choice is not None and kept.choice is not None
    assert plan.choice.chosen.stages == kept.choice.chosen.stages
    assert layout(read_back(plan, tmp_path)) == layout(plan)


def test_mains_other_ends_are_offered_as_heads(tmp_path: Path) -> None:
    """No candidates are named: `inner` and `late` stand in main's YAML, `end` is its answer. Main alone is none of
    them."""
    path = write_spec(tmp_path, OWN.partition("candidates:")[0])
    plan = plan_of(path)
    assert names(plan) == ["own-0", "own-2"]
    assert layout(read_back(plan, tmp_path)) == layout(plan)
    assert plan.choice is not None
    heads = {f"own.{name}/0:{end}" for name, end in (("own-0", "inner"), ("own-2", "late"))}
    assert {slot.name for slot in plan.chain.slots} <= {"own/0:one", "own/1:two", "own/2:end", *heads}
    network = plan.chain.networks["own"]
    assert [layer.name for layer in network.layers] == ["one", "two", "end"]


def test_an_end_that_answers_another_question_is_no_head(tmp_path: Path) -> None:
    path = write_spec(tmp_path, OWN.partition("candidates:")[0])
    layers = TINY.networks["own"].layers.replace(
        "output_processors: 0x7, flatten", "output_processors: 0xf, flatten", 1
    )
    shapes = list(TINY.networks["own"].weights)
    shapes[1] = (4, *shapes[1][1:])
    write_network(tmp_path, "own", layers, shapes)
    assert names(plan_of(path)) == ["own-2"]


def test_two_ends_without_a_mark_stop_a_choice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_spec(tmp_path, OWN.partition("candidates:")[0])
    network = tmp_path / "own.yaml"
    network.write_text(network.read_text().replace(", output: true", ""))
    assert main(["plan", str(path)]) == 2
    assert "network `own` has several ends, layers that no other reads: `inner` and `late` and `end`" in (
        capsys.readouterr().err
    )
    path.write_text(OWN)  # candidates name the heads: one end is left
    assert main(["plan", str(path)]) == 0
