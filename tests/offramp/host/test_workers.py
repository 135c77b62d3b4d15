"""Tasks on workers of this machine: the same results in the same order as in one process."""

from __future__ import annotations

import numpy as np
import pytest

from bench.candidates import costs_of, draw, look
from offramp.configs.errors import InputError
from offramp.host.workers import executor


def test_the_choice_does_not_depend_on_how_many_workers_there_are() -> None:
    pool, chains = draw(400, 4), costs_of(4, fronts=False)
    needed = int(pool.right[-1].sum()) - 4
    found = []
    for workers in (None, 1, 2, 3):
        with executor(workers) as tasks:
            search, placed = look(pool, chains, needed, tasks)
        costs = [(best.cost.tolist(), best.settings) for best in search.best]
        found.append((search.top, search.bound(), search.work, placed, costs))
    assert found[0] == found[1] == found[2] == found[3]


def _scaled(shared: np.ndarray, task: int) -> int:
    if task < 0:
        raise ValueError(f"task {task}")
    return int(shared.sum()) * task


def test_results_come_in_order_with_what_is_shared() -> None:
    with executor(2) as tasks:
        for shared in (np.arange(3), np.arange(5)):
            assert tasks.map(_scaled, shared, range(7)) == [int(shared.sum()) * task for task in range(7)]
        with pytest.raises(ValueError, match="task -1"):
            tasks.map(_scaled, np.arange(3), [1, -1, 2, -3])


def test_there_is_at_least_one_worker() -> None:
    with pytest.raises(InputError, match="--workers 0: at least 1"), executor(0):
        pass
