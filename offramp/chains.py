"""What a chain of stages needs from a spec's data, and what it costs once it is placed."""

from __future__ import annotations

from itertools import combinations

from codegen.lower import lower, words_sent
from codegen.program import Switching, switching
from planner.budget import Budget, budget
from planner.data import DataSet, check_disjoint, load_data
from planner.placed import Placed
from planner.spec import Spec
from planner.stages import Chain

TEST_DATA = "test"  # the data set that results are reported on
TRAIN_DATA = "train"  # the data set that the networks were trained on, only to check the others against


def data_set(spec: Spec, chain: Chain, name: str) -> DataSet:
    """One of the spec's data sets, checked against the chain's input and classes."""
    last = chain.slots[-1]
    shape = chain.networks[chain.first_reader.network].input_shape
    return load_data(name, spec.data[name], shape, last.layer.out_shape.channels)


def calibration_data(spec: Spec, chain: Chain, name: str) -> DataSet:
    """The data set that thresholds are chosen on. InputError if it, `test` and `train` are not three different ones."""
    others = [one for one in (TEST_DATA, TRAIN_DATA) if one in spec.data and one != name]
    data = [data_set(spec, chain, one) for one in (name, *others)]
    for first, second in combinations(data, 2):
        check_disjoint(first, second)
    return data[0]


def chain_switching(placed: Placed) -> Switching:
    return switching(lower(placed), placed.resources.device)


def chain_budget(placed: Placed) -> Budget:
    """Cycles of all stages and switches. Loading the input is not part of them, sending it again is: a look at the
    FIFO and a write for each word."""
    states = chain_switching(placed)
    count = len(states.states)
    again = [2 * words_sent(placed, stage) for stage in placed.resources.chain.stages]
    forward = [len(states.transition(index, index + 1)) + again[index + 1] for index in range(count - 1)]
    back = [len(states.transition(index, 0)) for index in range(count)]
    return budget(placed, forward, back)
