"""What came of trials, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.fault_board import RIGHT, WRONG


@dataclass(frozen=True)
class Result:
    """What came of the trials of a row. `harmless`: trials in which all answers were right; `statuses`: errors, and how
    many trials had them; `recovered`: the most calls with an error before answers were right again, None if in some
    trial they never were; `wrong`: trials with a wrong answer and OK."""

    trials: int
    harmless: int
    statuses: tuple[tuple[str, int], ...]
    recovered: int | None
    wrong: int


@dataclass(frozen=True)
class Line:
    """A row of the table: by default, and with the check that is named."""

    name: str
    default: Result
    check: str = ""
    checked: Result | None = None


def judge(found: Sequence[Sequence[str]]) -> Result:
    """Sum up the trials of a row, each the outcomes of its calls in order."""
    statuses: Counter[str] = Counter()
    calls: list[int | None] = []
    for outcomes in found:
        errors = [one for one in outcomes if one not in (RIGHT, WRONG)]
        statuses.update(set(errors))
        calls.append(len(errors) if outcomes[-1] in (RIGHT, WRONG) else None)
    recovered = None if None in calls else max(one for one in calls if one is not None)
    wrong = sum(WRONG in outcomes for outcomes in found)
    harmless = sum(set(outcomes) == {RIGHT} for outcomes in found)
    return Result(len(found), harmless, tuple(sorted(statuses.items())), recovered, wrong)
