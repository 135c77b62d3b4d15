"""Where stages are cut into runs: few runs, cheap switches, exactly, and only where tensors stay in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise, product

import numpy as np
import pytest

from offramp.codegen.lower import lower
from offramp.codegen.segments import Changes, Run, Way, changes_of, cheapest, cuts_of, in_segments, runs_by_position
from offramp.configs.device import Device, load_device
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.allocation.place import Placed, place
from offramp.planner.allocation.runs import furthest_ends
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import Chain, Stage, slots_of, tensor_of, whole, with_cuts
from offramp.planner.ir.cuts import segment_cuts
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.planner.reference.layers import run_network
from offramp.planner.rules.check import check_network
from tests.helpers.networks import make_layer, make_network

DEVICE = load_device()
SMALL = replace(DEVICE, geometry=replace(DEVICE.geometry, layers=4))  # runs of four layers


def deep(layers: int, seed: int, shape: Shape) -> Network:
    """Layers of random sizes; some read two of the layers before them."""
    rng = np.random.default_rng(seed)
    made: list[Layer] = []
    for index in range(layers):
        read = [index - 1]
        if index > 3 and rng.random() < 0.15:
            read = [int(rng.integers(max(0, index - 6), index - 1)), index - 1]
        channels = sum(made[one].out_shape.channels if one >= 0 else shape.channels for one in read)
        size = 3 if rng.random() < 0.5 else 1
        layer = make_layer(
            replace(shape, channels=channels),
            int(rng.integers(1, 17)),
            rng,
            inputs=tuple(read),
            kernel=(size, size),
            pad=(size // 2, size // 2),
            output_shift=-2,
            activation="relu" if rng.random() < 0.7 else "none",
        )
        made.append(replace(layer, index=index))
    return make_network(*made, input_shape=shape)


def placed_of(network: Network, device: Device = DEVICE) -> Placed:
    network = complete(network, device, no_columns_occupied(device))
    return place(whole("deep", network), device)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_segmented_networks_give_the_unsplit_reference(seed: int) -> None:
    """Random networks of 33 to 100 layers on the accelerator model."""
    rng = np.random.default_rng(seed)
    network = deep(int(rng.integers(33, 101)), seed, Shape(*(int(size) for size in rng.integers(3, 9, 3))))
    placed = placed_of(network)
    machine = ModelRunner(placed)
    assert len(machine.programs) == -(-len(network.layers) // 32)
    machine.load()
    shape = network.input_shape
    x = rng.integers(-128, 128, (2, shape.channels, shape.rows, shape.cols)).astype(np.int8)
    assert np.array_equal(run_all(machine, list(x)), run_network(network, x)[len(network.layers) - 1])


def all_cuts(slots: int, places: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Every way to cut into as few runs as possible."""
    for count in range(slots):
        found = [
            cuts
            for cuts in combinations(places, count)
            if all(end - first <= most for first, end in pairwise((0, *cuts, slots)))
        ]
        if found:
            yield from found
            return


def writes_of(placed: Placed, cuts: Sequence[tuple[int, ...]]) -> int:
    """Register writes of all switches, through all runs and back, as the firmware does them."""
    states = lower(placed.with_chain(with_cuts(placed.requirements.chain, cuts))).switching
    count = len(states.states)
    return sum(len(states.transition(run, (run + 1) % count)) for run in range(count))


def in_two_stages(first: Network, second: Network) -> Chain:
    networks: dict[str, Network] = {}
    load = no_columns_occupied(SMALL)
    for name, network in (("first", first), ("second", second)):
        networks[name] = complete(network, SMALL, load, networks["first"].layers[0].processors if networks else 0)
    stages = tuple(
        Stage(name, slots_of(name, network, network.layers), tensor_of(name, len(network.layers) - 1))
        for name, network in networks.items()
    )
    return Chain(networks, stages, {"first": True, "second": True})


def test_no_cut_writes_less() -> None:
    """Beside all others with as few runs, as the firmware writes; the choice knows the number exactly."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        first, second = (deep(int(rng.integers(2, 11)), seed + more, Shape(4, 5, 5)) for more in (0, 100))
        chain = in_two_stages(first, second)
        placed = place(chain, SMALL)
        chosen = in_segments(placed).requirements.chain
        choices = [
            tuple(all_cuts(len(stage.slots), segment_cuts(chain, stage), SMALL.geometry.layers))
            for stage in chain.stages
        ]
        writes = {cuts: writes_of(placed, cuts) for cuts in product(*choices)}
        own = tuple(stage.cuts for stage in chosen.stages)
        assert (writes[own], own) == min((count, cuts) for cuts, count in writes.items())
        if any(own):
            assert chosen_way(placed).writes == writes[own]


def chosen_way(placed: Placed) -> Way:
    chain, most = placed.requirements.chain, SMALL.geometry.layers
    positions = [
        runs
        for number, stage in enumerate(chain.stages)
        for runs in runs_by_position(furthest_ends(placed, stage), segment_cuts(chain, stage), number)
    ]
    return cheapest(positions, changes_of(placed), most)


def test_a_stage_that_fits_is_one_run() -> None:
    placed = placed_of(deep(32, 0, Shape(3, 4, 4)))
    assert in_segments(placed) is placed
    cut = in_segments(placed_of(deep(33, 0, Shape(3, 4, 4)))).requirements.chain
    assert [segment.name for segment in cut.segments] == ["deep (1 of 2)", "deep (2 of 2)"]
    assert cut.stage_numbers == (0, 0) and cut.answering == (1,)
    assert cut.segments[0].result == cut.segments[0].slots[-1].writes and cut.segments[1].result == "deep/32"


def test_ties_are_cut_at_the_first_place() -> None:
    positions = runs_by_position((4, 5, 6, 6, 6, 6), (1, 2, 3, 4, 5), 0)
    assert positions == ((Run(0, 0, 2), Run(0, 0, 3), Run(0, 0, 4)), (Run(0, 2, 6), Run(0, 3, 6), Run(0, 4, 6)))
    same = np.zeros((2, 6, 6), np.int64)
    different = same + 1 - np.eye(6, dtype=np.int64)  # 2 writes a shared slot, and 2 where runs differ in length
    for differences, cut in ((same, 3), (different, 2)):
        way = cheapest(positions, Changes(differences, 8, ((0,),), (0,)), 4)
        assert cuts_of(way.runs, 1) == ((cut,),)


def test_as_few_runs_as_the_places_allow() -> None:
    """Six slots in runs of four, but no cut in the middle: three runs."""
    positions = runs_by_position((4, 5, 6, 6, 6, 6), (1, 5), 0)
    assert positions == ((Run(0, 0, 1),), (Run(0, 1, 5),), (Run(0, 5, 6),))


def streaming(count: int, total: int) -> Network:
    layers = [make_layer(Shape(3, 8, 8), 3, streaming=index < count) for index in range(total)]
    return make_network(*layers, fifo=True)


def test_what_streams_stays_together() -> None:
    network = complete(streaming(3, 8), SMALL, no_columns_occupied(SMALL))
    chain = whole("network", network)
    assert segment_cuts(chain, chain.stages[0]) == (3, 4, 5, 6, 7)
    assert check_network(network, SMALL) == ()


def test_layers_that_cannot_be_cut_are_refused_with_the_reason() -> None:
    """Five streaming layers for runs of four; an input from the FIFO that a late layer reads."""
    (problem,) = check_network(streaming(5, 6), replace(SMALL, geometry=replace(SMALL.geometry, stream_layers=5)))
    assert "5 layers, `0` to `4`, that have to run together: layer `4` streams; the first" in problem.message
    assert "A run has at most 4 layers; a network of more takes several runs" in problem.message
    layers = [replace(make_layer(Shape(3, 8, 8), 3), index=index) for index in range(5)]
    joined = make_layer(Shape(6, 8, 8), 3, inputs=(INPUT, 4))
    read = [replace(layer, inputs=(layer.index - 1,)) for layer in layers]
    (problem,) = check_network(make_network(*read, joined, input_shape=Shape(3, 8, 8), fifo=True), SMALL)
    assert "6 layers, `0` to `5`, that have to run together: layer `5` reads the network's input" in problem.message
