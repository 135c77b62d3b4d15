"""What a chain of stages needs from a spec's data, and what it costs once it is placed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from offramp.codegen.lower import Lowered
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.allocation.budget import Budget, cycle_budget
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.ir.chain import Chain
from offramp.planner.spec.dataset import DataSet, Images, check_disjoint, has_labels, load_data, load_images
from offramp.planner.spec.spec import Calibration, ChoiceSpec, Spec

TEST_DATA = "test"  # the data set that results are reported on
IN_ORDER = (
    "`risk` holds for images that are independent of each other; those of networks with rolling buffers follow one "
    "another: without `risk` thresholds are chosen on the given data only"
)
TRAIN_DATA = "train"  # the data set that the networks were trained on, only to check the others against


def data_set(spec: Spec, chain: Chain, name: str) -> Images:
    """One of the spec's data sets, checked against the chain's input and classes; without labels if it has none, or if
    the chain gives no answers that they could be of."""
    last = chain.exits[-1]
    if (last.exit is None and not last.answers) or not has_labels(spec.data[name]):
        return image_set(spec, chain, name)
    return labelled_set(spec, chain, name)


def labelled_set(spec: Spec, chain: Chain, name: str) -> DataSet:
    """One of the spec's data sets, which must have labels."""
    shape = chain.networks[chain.first_reader.network].input_shape
    return load_data(name, spec.data[name], shape, answer_count(spec, chain))


def answer_count(spec: Spec, chain: Chain) -> int:
    """How many different answers there are; without names of them, the classes of the last stage."""
    return len(spec.answers) or chain.producers[chain.exits[-1].result].layer.out_shape.channels


def image_set(spec: Spec, chain: Chain, name: str) -> Images:
    """The images of one of the spec's data sets, checked against the chain's input."""
    return load_images(name, spec.data[name], chain.networks[chain.first_reader.network].input_shape)


def calibration_data(spec: Spec, chain: Chain, goal: Calibration | ChoiceSpec) -> Images:
    """The data set that thresholds are chosen on, with labels if these tell what is right.

    InputError if it, `test` and `train` are not three different ones."""
    name = goal.data
    if name in (TEST_DATA, TRAIN_DATA):
        use = {TEST_DATA: "results are judged on it", TRAIN_DATA: "networks are surer of it than of new images"}[name]
        found = f"thresholds cannot be chosen on data set `{name}`: {use}; name another one"
        raise InputError(Diagnostic(goal.where, found))
    if goal.against == "main" and chain.exits[-1].exit is None:
        found = "the last stage gives a tensor, with which answers cannot be compared: `against: labels` is needed"
        raise InputError(Diagnostic(goal.where, found))
    first = labelled_set(spec, chain, name) if goal.against == "labels" else image_set(spec, chain, name)
    _check_disjoint(spec, [first, *(data_set(spec, chain, one) for one in (TEST_DATA, TRAIN_DATA) if one in spec.data)])
    return first


def disjoint_data(spec: Spec, chain: Chain, names: Sequence[str]) -> list[Images]:
    """Data sets of the spec, as far as it has them. InputError if an image is in two of them."""
    found = [data_set(spec, chain, one) for one in names if one in spec.data]
    _check_disjoint(spec, found)
    return found


def _check_disjoint(spec: Spec, found: Sequence[Images]) -> None:
    for first, second in combinations(found, 2):
        check_disjoint(first, second, spec.places.get("data"))


def chain_budget(lowered: Lowered) -> Budget[Cycles]:
    """Cycles of a chain: what an answer takes, from its input on."""
    states, chain = lowered.switching, lowered.placed.requirements.chain
    ahead = [len(states.transition(run, run + 1)) for run in range(len(chain.segments) - 1)]
    firsts = [0, *(run + 1 for run in chain.answering)]
    inside = [ahead[first:last] for first, last in zip(firsts, chain.answering, strict=False)]
    forward = [ahead[run] for run in chain.answering[:-1]]
    back = [len(states.transition(run, 0)) for run in chain.answering]
    return cycle_budget(lowered.placed, inside, forward, back)
