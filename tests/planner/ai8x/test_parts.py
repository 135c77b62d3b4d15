"""Checkpoints that hold heads besides a network: as the distiller names them, and as users do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError, Where
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.ai8x.load import load_network
from offramp.planner.ai8x.parts import check_part, layers_of
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.ir.chain import Chain
from offramp.planner.ir.network import Network, Shape, UnusedLayers
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import ManualSpec
from tests.helpers import checkpoints
from tests.helpers.checkpoints import Array
from tests.helpers.specs import BRANCH, TINY, write_files

DEVICE = load_device()

MAIN = ("conv1.op", "conv2.op", "conv3.op", "fc.op")
HEAD = ("fc.op",)
# The names of the torch modules of main, each with the word that begins the head's names, in the order of a state_dict
JOINT = {
    "distiller": (("conv1.branched_module.op", "conv1.branch_net.op", *MAIN[1:]), "conv1.branch_net"),
    "distiller, two devices": (
        tuple(f"module.{name}" for name in ("conv1.branched_module.op", "conv1.branch_net.0.op", *MAIN[1:])),
        "conv1.branch_net",
    ),
    "a model's own, behind": ((MAIN[0], "exit1.fc.op", *MAIN[1:]), "exit1"),
    "a list": ((MAIN[0], "exits.0.fc.op", *MAIN[1:]), "exits.0"),
}


def states(folder: Path) -> tuple[list[Array], Array]:
    """The weights of TINY's main and head."""
    write_files(folder)
    main = [layer.weights for layer in load_checkpoint(folder / "main.pth.tar").layers]
    return main, load_checkpoint(folder / "head.pth.tar").layers[0].weights


def save(path: Path, names: Sequence[str], weights: Sequence[Array], arch: str = "main") -> Path:
    return checkpoints.save(path, state_of(names, weights), arch)


def state_of(names: Sequence[str], weights: Sequence[Array]) -> dict[str, Array]:
    state = {f"{name}.weight": values.astype(np.float32) for name, values in zip(names, weights, strict=True)}
    return state | {f"{name.removesuffix('.op')}.output_shift": np.array([-2], np.float32) for name in names}


def write_joint(folder: Path, names: Sequence[str]) -> Path:
    """main.pth.tar with the head's layer behind main's first, and head.pth.tar and alone.pth.tar with the same."""
    main, head = states(folder)
    save(folder / "head.pth.tar", HEAD, [head], "head")
    save(folder / "alone.pth.tar", MAIN, main)
    return save(folder / "main.pth.tar", names, [main[0], head, *main[1:]])


def chain_of(folder: Path, text: str) -> Chain:
    path = folder / "spec.yaml"
    path.write_text(text)
    spec = load_spec(path, DEVICE)
    assert isinstance(spec, ManualSpec)
    return build_chain(spec, read_sources(spec, DEVICE), DEVICE)


def joint_spec(prefix: str) -> str:
    return BRANCH.replace("head.pth.tar", f"main.pth.tar, prefix: {prefix}")


def has_weights(network: Network, weights: Sequence[Array]) -> bool:
    found = [layer.weights for layer in network.layers if layer.weights is not None]
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(found, weights, strict=True))


def same_weights(first: Network, second: Network) -> bool:
    return all(
        np.array_equal(one.weights, other.weights) and one.output_shift == other.output_shift == -2
        for one, other in zip(first.layers, second.layers, strict=True)
        if one.weights is not None and other.weights is not None
    )


@pytest.mark.parametrize("kind", JOINT)
def test_a_joint_checkpoint_gives_the_same_networks_as_one_for_each(tmp_path: Path, kind: str) -> None:
    names, prefix = JOINT[kind]
    write_joint(tmp_path, names)
    apart = chain_of(tmp_path, BRANCH.replace("checkpoint: main.pth.tar", "checkpoint: alone.pth.tar"))
    joint = chain_of(tmp_path, joint_spec(prefix))
    assert joint.networks.keys() == apart.networks.keys() == {"main", "head"}
    assert all(same_weights(joint.networks[name], apart.networks[name]) for name in joint.networks)
    assert all(not network.unused for network in joint.networks.values())


def main_of(folder: Path, without: tuple[str, ...] = ()) -> Network:
    source = replace(load_checkpoint(folder / "main.pth.tar"), without=without)
    return load_network(folder / "main.yaml", DEVICE, source, input_shape=Shape(*TINY.shape))


@pytest.mark.parametrize("kind", ["distiller", "distiller, two devices"])
def test_a_network_is_read_without_the_distillers_heads_which_are_found(tmp_path: Path, kind: str) -> None:
    names, prefix = JOINT[kind]
    path = write_joint(tmp_path, names)
    assert list(layers_of(load_checkpoint(path))) == ["conv1.branched_module.op", *MAIN[1:]]
    (head,) = main_of(tmp_path).unused
    assert head == UnusedLayers(prefix, (f"{names[1].removeprefix('module.')} (3x288x1x1)",), after="first")


def test_heads_with_names_of_their_own_are_found_behind_the_network(tmp_path: Path) -> None:
    main, head = states(tmp_path)
    names = ["exits.0.conv.op", "exits.0.fc.op", "exits.1.fc.op", "aux.0.op", "aux.2.op", "fc_exit"]
    save(tmp_path / "main.pth.tar", [*MAIN, *names], [*main, main[1], head, *[head] * 4])
    found = {part.prefix: (len(part.layers), part.after) for part in main_of(tmp_path).unused}
    assert found == {"exits.0": (2, ""), "exits.1": (1, ""), "aux": (2, ""), "fc_exit": (1, "")}


def test_two_exits_behind_a_module_and_one_behind_a_block(tmp_path: Path) -> None:
    main, head = states(tmp_path)
    names = ["conv1.branched_module.branched_module.op", "conv1.branched_module.branch_net.op", "conv1.branch_net.op"]
    block = ["block.branched_module.a.op", "block.branched_module.b.op", "block.branch_net.1.op", "fc.op"]
    save(tmp_path / "main.pth.tar", [*names, *block], [main[0], head, head, *main[1:3], head, main[3]])
    network = main_of(tmp_path)
    found = {part.prefix: part.after for part in network.unused}
    assert found == {
        "conv1.branched_module.branch_net": "first",
        "conv1.branch_net": "first",
        "block.branch_net": "third",
    }
    assert has_weights(network, main)


def test_a_head_between_the_layers_is_refused_with_what_helps(tmp_path: Path) -> None:
    names, prefix = JOINT["a model's own, behind"]
    path = write_joint(tmp_path, names)
    with pytest.raises(InputError) as caught:
        main_of(tmp_path)
    assert "`exit1.fc.op` has the shape 3x288x1x1; 3x8x3x3 is expected" in str(caught.value)
    order = "conv1.op, exit1.fc.op, conv2.op, conv3.op, fc.op"
    assert f"{path} has 5 layers, of which the first 4 are taken: {order}; those of a head" in str(caught.value)
    assert not main_of(tmp_path, without=(prefix,)).unused


def test_prefixes_are_whole_words_and_must_occur(tmp_path: Path) -> None:
    write_joint(tmp_path, JOINT["a model's own, behind"][0])
    for wrong in ("exit", "exit1.f", "exit2", "conv1.op.weight"):
        with pytest.raises(InputError) as caught:
            chain_of(tmp_path, joint_spec(wrong))
        found = f"has no layers whose names begin with `{wrong}`; they begin with conv1, conv2, conv3, exit1, fc"
        assert f"{tmp_path}/spec.yaml:4: {tmp_path}/main.pth.tar {found}" in str(caught.value)
    for value in ("[]", "true", "a..b", '""', ".a", "1.5"):
        with pytest.raises(InputError, match=r"spec.yaml:4: `prefix: .*first words of layers' names"):
            chain_of(tmp_path, joint_spec(value))


def test_layers_that_share_a_shift_are_refused(tmp_path: Path) -> None:
    """As plain torch layers of one nn.Sequential do behind quantize.py, which names the shift after what holds them."""
    main, head = states(tmp_path)
    state = state_of(MAIN, main) | {f"conv1.branch_net.{index}.weight": head.astype(np.float32) for index in (0, 2)}
    checkpoints.save(tmp_path / "main.pth.tar", state, "main")
    assert len(main_of(tmp_path).unused) == 1
    state["conv1.branch_net.output_shift"] = np.array([1], np.float32)
    checkpoints.save(tmp_path / "main.pth.tar", state, "main")
    with pytest.raises(InputError) as caught:
        main_of(tmp_path)
    shared = (
        "`conv1.branch_net.output_shift` is the one shift of 2 layers (conv1.branch_net.0, conv1.branch_net.2, ...)"
    )
    assert shared in str(caught.value)


def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    """Whatever a checkpoint calls its layers: nothing runs, nothing is unbounded, and what is no head is none."""
    main, head = states(tmp_path)
    strange = [
        "branch_net", "branch_net.branch_net.op", "a.branched_module", "__class__.__init__.op", "module.module.x.op",
        "..", "{0.__dict__}.op", "x.\x1b[31m.op", "[bold]x[/bold].op", "os.system('false')", "é.\u202e.op", "9" * 4000,
        ".".join(["deep"] * 5000),
    ]  # fmt: skip
    save(tmp_path / "main.pth.tar", [*MAIN, *strange], [*main, *[head[:, :1]] * len(strange)])
    network = main_of(tmp_path)
    assert has_weights(network, main)
    assert sum(len(part.layers) for part in network.unused) == len(strange)
    many = [f"exit{number}.op" for number in range(3000)]
    save(tmp_path / "main.pth.tar", [*MAIN, *many], [*main, *[head[:, :1]] * len(many)])
    assert len(main_of(tmp_path).unused) == len(many)
    with pytest.raises(InputError) as caught:
        check_part(replace(load_checkpoint(tmp_path / "main.pth.tar"), prefix="x"), Where("spec.yaml", 3))
    assert str(caught.value).endswith("and 2996 more") and len(str(caught.value)) < 400
