"""docs/FAULTS.md."""

from __future__ import annotations

from collections.abc import Sequence

from bench.fault_lines import Line, Result

_HEAD = """\
# What the runtime notices

The firmware of `examples/mnist` (two stages) on the virtual board, with faults; `python -m bench.faults` makes this
page (some minutes on two cores; the same trials each time). In each trial the board boots, the image is opened, and six
inputs are answered, three of which need both stages; every answer is compared with the integer reference, all values of
the result included. Memories without power hold noise, and what the accelerator model refuses is let through, as a bus
lets it through. All of this is simulated; nothing was tried on a chip.

This firmware has all weights in flash. Where some are outside (`reload: external`), a reading that fails, is short, or
gives a changed byte or those of another place is `E_EXTERNAL`, and the next inference is right:
`tests/codegen/test_external.py` reads such a file wrongly in all these ways, piece by piece, and
`offramp run --fault external-damaged` shows it.

- **all right**: trials in which every call returned `OFFRAMP_OK` and every answer was right.
- **errors**: statuses that calls returned (without `OFFRAMP_`), and in how many trials.
- **recovered**: calls that returned an error before answers were right again, at most; "never": as long as the fault
  lasts.
- **wrong with OK**: trials with a wrong answer and `OFFRAMP_OK`. It has to be 0 where the fault can be noticed.

"""
_UNNOTICED = """
## What cannot be noticed

- A weight or a bias that changes in the accelerator's memory, until the next self test (`offramp_self_test` with
  `OFFRAMP_TEST_WEIGHTS` or `OFFRAMP_TEST_BIASES`): they are not read while inferences run.
- A register that changes between inferences, without `check_registers`; with it, one that changes while a stage runs
  and is written again before the stage ends.
- A bit that flips in flash after `offramp_open`, until the next self test with `OFFRAMP_TEST_IMAGE` or until the image
  is loaded again (by `offramp_wake` only after `OFFRAMP_SLEEP_OFF`): the checksum is not computed for each inference.
- Data memory that changes while a stage works on it, or between the stage and `offramp_output`: it has no checksum.
- A done flag that comes too early without a clock (`wait` given and no `clock`), or later than the plan's minimum and
  before the accelerator has finished.
- Power that is lost and comes back between two looks at the guard registers, if all of them come back as they were.
- What writes to the accelerator's registers or memories without the runtime: another program, a DMA channel.
"""
_CALLS = """
## Calls at a wrong time

Behind the colon: what the call itself returned, and how often. The other columns are about the inference that it met
and about the next one.

"""
_COLUMNS = ("fault", "trials", "all right", "errors", "recovered", "wrong with OK")


def page(faults: Sequence[Line], calls: Sequence[Line]) -> str:
    """The whole page."""
    checked = [line for line in faults if line.checked]
    parts = [
        _HEAD,
        "## Faults, with default options\n\n",
        _table([(line.name, line.default) for line in faults]),
        "\n## The same with the check that notices it\n\n",
        _table([(f"{line.name}; {line.check}", line.checked) for line in checked if line.checked]),
        _CALLS,
        _table([(line.name, line.default) for line in calls]),
        _UNNOTICED,
    ]
    return "".join(parts)


def _table(rows: Sequence[tuple[str, Result]]) -> str:
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for name, result in rows:
        errors = ", ".join(f"{status} {count}" for status, count in result.statuses) or "-"
        recovered = "never" if result.recovered is None else str(result.recovered) if result.statuses else "-"
        cells = (name, str(result.trials), str(result.harmless), errors, recovered, str(result.wrong))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
