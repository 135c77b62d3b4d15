"""Inferences one after the other: what rolling buffers keep from one to the next.

A buffer is memory. Layers write to it where the network says, and what they do not write stays. An inference that
leaves early runs none of the stages after, so it does not write what these would
(docs/decisions/0015-state-and-exits.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.chain import INPUT_TENSOR, Chain, ExitStage, Slot, Stage, TensorId, tensor_of, whole
from offramp.planner.ir.network import Network
from offramp.planner.reference.exits import leaving, stage_classes, stage_confidence
from offramp.planner.reference.layers import Tensor, run_layer, run_network

BATCH = 250  # inferences at a time; bounds the memory that activations take


@dataclass(frozen=True, eq=False)
class State:
    """What rolling buffers hold between two inferences: int8 (channels, rows, cols), by tensor."""

    buffers: Mapping[TensorId, npt.NDArray[np.int8]]


def start_state(chain: Chain) -> State:
    """Zeros: what the vendor's tool begins with (izer.py), and what the firmware writes when it loads a network."""
    shapes = {name: buffer.shape for name, buffer in chain.buffers.items()}
    return State({name: np.zeros((s.channels, s.rows, s.cols), np.int8) for name, s in shapes.items()})


def run_in_order(network: Network, x: npt.NDArray[np.int8], keep: Collection[int] = ()) -> dict[int, Tensor]:
    """As `run_network`, for images that follow one another, the first one with empty rolling buffers."""
    if not network.buffers:
        return run_network(network, x, keep)
    chain = whole("network", network)
    wanted = {tensor_of("network", index): index for index in (*keep, network.layers[-1].index)}
    state = start_state(chain)
    parts = []
    for start in range(0, max(len(x), 1), BATCH):
        found, state = run_sequence(chain, x[start : start + BATCH], state, wanted)
        parts.append(found)
    return {index: np.concatenate([part[tensor] for part in parts]) for tensor, index in wanted.items()}


def run_sequence(
    chain: Chain, x: npt.NDArray[np.int8], state: State, wanted: Collection[TensorId]
) -> tuple[dict[TensorId, Tensor], State]:
    """All stages on all images, int8 (N, channels, rows, cols), one after the other: the tensors that are `wanted`,
    (N, channels, rows, cols), and the state after the last image.

    Stages after the one that an image leaves at tell what they would have answered; what they write to rolling buffers
    does not count. Exits without a threshold let none leave.
    """
    later = _later(chain)
    tensors = _run_before(chain, x, later, wanted)
    own: dict[TensorId, list[Tensor]] = {tensor: [] for tensor in wanted if tensor in later}
    for image in range(len(x)):
        given = {name: tensor[image : image + 1] for name, tensor in tensors.items()}
        found, state = _infer(chain, given, later, state)
        for tensor, values in own.items():
            values.append(found[tensor])
    results = {name: tensors[name] for name in wanted if name not in own}
    shapes = {name: chain.producers[name].layer.out_shape for name in own}
    empty = {name: np.zeros((0, s.channels, s.rows, s.cols), np.int8) for name, s in shapes.items()}
    return results | {name: np.concatenate(values or [empty[name]]) for name, values in own.items()}, state


def _later(chain: Chain) -> set[TensorId]:
    """Tensors that depend on what a buffer holds, and therefore on the images before."""
    found = set(chain.buffers)
    for slot in chain.slots:
        if found & set(slot.reads):
            found.add(slot.writes)
    return found


def _run_before(
    chain: Chain, x: npt.NDArray[np.int8], later: Collection[TensorId], wanted: Collection[TensorId]
) -> dict[TensorId, Tensor]:
    """What does not depend on earlier images, on all images at once: the tensors that are needed beyond that."""
    slots = [slot for slot in chain.slots if slot.writes not in later]
    beyond = {tensor for slot in chain.slots if slot.writes in later for tensor in slot.reads}
    beyond |= {slot.writes for slot in slots if slot.into} | {stage.result for stage in chain.stages} | set(wanted)
    last_use = {tensor: position for position, slot in enumerate(slots) for tensor in slot.reads}
    tensors: dict[TensorId, Tensor] = {INPUT_TENSOR: x}
    for position, slot in enumerate(slots):
        tensors[slot.writes] = _run(chain, slot, tensors)
        for tensor in [name for name in tensors if last_use.get(name, -1) <= position and name not in beyond]:
            del tensors[tensor]
    return tensors


def _run(chain: Chain, slot: Slot, tensors: Mapping[TensorId, Tensor]) -> Tensor:
    rounding = chain.networks[slot.network].avg_pool_rounding
    return run_layer(slot.layer, [tensors[tensor] for tensor in slot.reads], rounding)


def _infer(
    chain: Chain, given: Mapping[TensorId, Tensor], later: Collection[TensorId], state: State
) -> tuple[dict[TensorId, Tensor], State]:
    """One inference, all tensors (1, channels, rows, cols): all stages, and the state as the stages leave it that run
    on silicon. `given`: what has been computed already, of all but `later`."""
    tensors = {**given, **{name: values[None].astype(np.int8) for name, values in state.buffers.items()}}
    after: State | None = None
    for stage in chain.stages:
        for slot in stage.slots:
            if slot.writes in later:
                tensors[slot.writes] = _run(chain, slot, tensors)
            if slot.into:
                tensors[slot.into] = with_rows(tensors[slot.into], slot, tensors[slot.writes])
        if after is None and (stage is chain.stages[-1] or _leaves(stage, tensors)):
            after = State({name: tensors[name][0].astype(np.int8) for name in state.buffers})
    assert after is not None
    return tensors, after


def with_rows(buffer: Tensor, slot: Slot, rows: Tensor) -> Tensor:
    """A buffer, (N, channels, rows, cols), with what a layer writes to it."""
    assert slot.layer.target
    flat = buffer.reshape(*buffer.shape[:2], -1).copy()
    first, pixels = slot.layer.target.first, rows.shape[2] * rows.shape[3]
    flat[:, :, first : first + pixels] = rows.reshape(*rows.shape[:2], -1)
    return flat.reshape(buffer.shape)


def _leaves(stage: Stage, tensors: Mapping[TensorId, Tensor]) -> bool:
    if not isinstance(stage, ExitStage) or stage.exit is None or not stage.exit.known:
        return False
    results = tensors[stage.result].reshape(1, -1)
    return bool(leaving(stage, stage_classes(stage, results), stage_confidence(stage, results))[0])
