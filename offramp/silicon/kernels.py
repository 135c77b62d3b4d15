"""Questions about where kernels and biases lie, and which quadrants add to a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from offramp.codegen.program import Key
from offramp.planner.reference.layers import run_network
from offramp.silicon import actions
from offramp.silicon.specimens import Specimen, checksum
from offramp.silicon.steps import Measurement, Question, copy

Specimens = Mapping[str, Specimen]


def columns(specimens: Specimens) -> Question:
    """Kernels that start where the vendor's tool does not put them."""
    found = [
        Measurement(f"columns.{name}", actions.asked(specimens[name].moved(column=column)), same_as=f"control.{name}")
        for name, column in (("conv3x3", 5), ("conv1x1", 3), ("conv1d", 3))
    ]
    one = specimens["quadrants"]
    for label, step in (("aligned", one.device.weight_start_multiple), ("unaligned", 1)):
        shifts = {quadrant: step * quadrant for quadrant in one.program.quadrants}
        found.append(
            Measurement(
                f"columns.{label}",
                actions.asked(_shifted(one, shifts), actions.load_weights(one, shifts)),
                same_as=f"control.{one.name}",
            )
        )
    return Question(
        "columns",
        "May kernels start at a column that is no multiple of 4, or at another one in each quadrant?",
        "yes; the planner uses multiples of 4, the same in all quadrants",
        "If so, the placement may use the gaps that multiples of 4 leave, and each quadrant's own.",
        tuple(found),
    )


def _shifted(one: Specimen, shifts: Mapping[int, int]) -> Specimen:
    """Kernel counters further on by whole columns, by quadrant. For 3x3 kernels, of which one fills a column."""
    changes = {}
    for quadrant, columns in shifts.items():
        old = one.program.settings[Key(quadrant, 0, "MCNT")]
        changes[Key(quadrant, 0, "MCNT")] = {name: value + 8 * columns for name, value in old.items()}
    return one.with_fields(changes)


def flatten_bias(specimens: Specimens) -> Question:
    """Biases of a flattening layer elsewhere, with other values where they would have been."""
    one = specimens["flatten"].moved(bias=12)
    decoy = np.full(12, 50, np.int8)
    steps = (
        *actions.power_on(one.device),
        copy(one.device.bias_address(one.master, 0), decoy.view(np.uint8).tolist()),
        *actions.load(one),
        *actions.configure(one),
        *actions.run(one),
        *actions.result(one),
    )
    outputs = one.tiny.network.layers[0].out_shape.channels
    return Question(
        "flatten-bias",
        "May the biases of a flattening layer start at another byte than 0?",
        "yes; the planner uses it",
        "The vendor's tool always puts them at byte 0; the planner may put those of several networks into "
        "one quadrant.",
        (
            Measurement(
                "flatten-bias.moved",
                steps,
                same_as="control.flatten",
                others={"read from byte 0": (_with_bias(one, decoy[:outputs]),)},
            ),
        ),
    )


def _with_bias(one: Specimen, bias: npt.NDArray[np.int8]) -> int:
    """Checksum of the result with other biases in the only layer."""
    network = replace(one.tiny.network, layers=(replace(one.tiny.network.layers[0], bias=bias),))
    return checksum(tuple(one.words_of(run_network(network, one.tiny.x[None])[0]).values()))


def bias_quadrants(specimens: Specimens) -> Question:
    """Biases enabled in two quadrants."""
    plain = specimens["quadrants"]
    (place,) = plain.placed.placement.biases.values()
    other = next(quadrant for quadrant in plain.program.quadrants if quadrant != place.quadrant)
    one = plain.with_fields({Key(other, 0, "POST"): {"bias_enable": 1, "bias_start": 0}})
    own = plain.tiny.network.layers[0].bias
    assert own is not None
    second = (-(own // 2)).astype(np.int8)
    steps = (
        *actions.power_on(one.device),
        copy(one.device.bias_address(other, 0), second.view(np.uint8).tolist()),
        *actions.load(one),
        *actions.configure(one),
        *actions.run(one),
        *actions.result(one),
    )
    alone = {"only the first quadrant's": (_with_bias(plain, own),), "only the other's": (_with_bias(plain, second),)}
    return Question(
        "bias-quadrants",
        "With biases enabled in two quadrants, what is added?",
        "both; the planner enables those of one",
        "It would give a layer more room for biases.",
        (Measurement("bias-quadrants.two", steps, (_with_bias(plain, own + second),), others=alone),),
    )


def bystander(specimens: Specimens) -> Question:
    """Quadrants that take part in a layer although the master does not collect their sums."""
    plain = specimens["quadrants"]
    master = plain.master
    one = plain.with_fields({Key(master, 0, "LCTRL0"): {"sources": 0}})
    x = plain.tiny.x.copy()
    x[one.device.geometry.processors_per_quadrant :] = 0
    alone = checksum(tuple(one.words_of(run_network(plain.tiny.network, x[None])[0]).values()))
    return Question(
        "bystander",
        "What does a quadrant do that computes a layer and is not collected (LCTRL0.sources)?",
        "nothing: it is not used",
        "A quadrant that one stage does not use could be left enabled.",
        (
            Measurement(
                "bystander.result",
                actions.asked(one),
                others={
                    "only the master's sums": (alone,),
                    "collected all the same": (_with_bias(plain, _bias(plain)),),
                },
            ),
        ),
    )


def _bias(one: Specimen) -> npt.NDArray[np.int8]:
    bias = one.tiny.network.layers[0].bias
    assert bias is not None
    return bias
