"""Tasks in this process. Those on workers are in tests/offramp/host."""

from __future__ import annotations

import pytest

from offramp.planner.tasks.executor import IN_PROCESS


def _divided(shared: int, task: int) -> int:
    return shared // task


def test_results_come_in_order() -> None:
    assert IN_PROCESS.map(_divided, 60, [1, 3, 2]) == [60, 20, 30]
    with pytest.raises(ZeroDivisionError):
        IN_PROCESS.map(_divided, 60, [1, 0])
