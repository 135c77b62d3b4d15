"""What is written again where not everything fits, beside writing everything again and beside all choices there are.

`python -m bench.reloads` plans a network of 1.6 times the weight memory with an early exit, for several shares of
inferences that go on behind it, and solves small instances, in each of which every choice is tried as well.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

from offramp.configs.device import load_device
from offramp.planner.allocation.place import place
from offramp.planner.placement.answer import Found
from offramp.planner.placement.cpsat_reload import cost_of
from offramp.planner.placement.interval_problem import DEFAULT_LIMITS
from offramp.planner.placement.reload import choose_weights
from tests.helpers.large import write_large
from tests.helpers.plans import chain_of
from tests.helpers.reload_instances import instance, possible_costs

INFERENCES = 1000
REACHED = (1000, 500, 100, 10)  # of these inferences go on behind the exit


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reloads", description=__doc__.split("\n\n")[0])
    parser.add_argument("instances", type=int, nargs="?", default=100, help="small instances (default 100)")
    arguments = parser.parse_args()
    print("a network of 1.6 times the weight memory with an early exit: expected words an inference")
    print("  go on behind it      chosen   lower bound   everything again")
    print("\n".join(large()))
    print(f"\n{small(arguments.instances)}")


def large() -> list[str]:
    """A line for each share of inferences that reach the last stage."""
    device, lines = load_device(), []
    with tempfile.TemporaryDirectory() as folder:
        chain = chain_of(write_large(Path(folder)))
    for reached in REACHED:
        reload = place(chain, device, reached=(INFERENCES, reached)).reload
        assert reload
        words = [one / INFERENCES for one in (reload.words, reload.bound, reload.everything)]
        lines.append(f"{reached / INFERENCES:17.0%} {words[0]:11,.0f} {words[1]:13,.0f} {words[2]:18,.0f}")
    return lines


def small(wanted: int) -> str:
    """The first so many instances in which not everything fits but some choice does: the costs of all together."""
    chosen = everything = best = equal = choices = solved = proved = 0
    for seed in count():
        if solved == wanted:
            break
        problem, candidates = instance(seed)
        costs = possible_costs(problem, candidates)
        answer = choose_weights(problem, candidates, DEFAULT_LIMITS)
        if not costs:
            proved += not isinstance(answer, Found)
        if not costs or min(costs) == 0:
            continue
        cost = answer.value.cost if isinstance(answer, Found) else 0
        solved, equal, choices = solved + 1, equal + (cost == min(costs)), choices + (1 << len(candidates))
        chosen, best = chosen + cost, best + min(costs)
        everything += cost_of(candidates, {name: (False,) for name in candidates})
    lines = [f"{wanted} small instances in which something is written again: expected cost of all together"]
    lines += [f"{chosen:8,}  chosen", f"{best:8,}  exhaustive search, {choices:,} choices"]
    lines += [f"{everything:8,}  everything again", f"as cheap as the best of all choices: {equal} of {wanted}"]
    return "\n".join([*lines, f"{proved} others have no choice that fits, which was proved of them"])


if __name__ == "__main__":
    main()
