"""Mutation report: which wrong bits of the device file, and which wrong arithmetic, the checks notice.

    python -m bench.mutation [--device NAME] [--corpus CORPUS] [--workers N]

Every field of every register is moved by a bit up and down, made a bit wider and a bit narrower, for the simulator
alone; programs are made from the right file or come from the vendor's tool. Each mutant meets the checks of
`bench.mutation_checks` until one fails. Then every arithmetic rule is replaced by a plausible mistake.

A field counts as killed if something notices every change of it. Exit code 1 if fewer than 95 % of the fields are
killed, if no program notices that a field moves and the device's `mutation_reasons*.yaml` does not say why, if a reason
there is not needed, or if a mistake in the arithmetic goes unnoticed.
"""

from __future__ import annotations

import offramp.simulator  # isort: skip  # noqa: F401  before numpy: it sets how many threads BLAS starts

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.mutants import KINDS, Mutant, mutants, mutate
from bench.mutation_checks import TABLE, WITNESSES, all_checks, first_failure
from bench.mutation_rules import Rule
from bench.mutation_suites import DEFAULT, SUITES, Suite
from offramp.configs.errors import Diagnostic, InputError
from offramp.configs.lines import load_yaml
from offramp.host.console import make_console
from offramp.host.workers import executor
from offramp.planner.tasks.executor import apply

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
TARGET = 0.95  # share of fields that have to be noticed

LETTERS = dict(zip(WITNESSES, "VNPT", strict=True)) | {None: "-"}
LEGEND = """\
V noticed by a vendor's program   N by our program for a network   P by a bus program written down from the manuals
T only by a second reading of the manuals' register tables   - by nothing   . the field cannot be changed so"""


@dataclass(frozen=True)
class FieldResult:
    """A field's mutants: how it was changed -> the witness that noticed, None if none did."""

    name: str
    noticed: Mapping[str, str | None]

    @property
    def killed(self) -> bool:
        """Every change is noticed by something."""
        return None not in self.noticed.values()

    @property
    def verified(self) -> bool:
        """Moving the field is noticed by a program. Other changes count for a field that fills the register."""
        moves = [self.noticed[kind] for kind in ("up", "down") if kind in self.noticed]
        return not {None, TABLE} & set(moves or self.noticed.values())

    @property
    def line(self) -> str:
        letters = (LETTERS[self.noticed[kind]] if kind in self.noticed else "." for kind in KINDS)
        return f"{self.name:32}" + "".join(f"{letter:^7}" for letter in letters)


def witness_of(work: tuple[str, Path | None, Mutant | int]) -> str | None:
    """The strongest witness that notices a mutant of a device, or a mistake in the arithmetic (its number)."""
    device, corpus, mutant = work
    suite = SUITES[device]
    checks = all_checks(corpus, suite)
    if isinstance(mutant, Mutant):
        found = first_failure(checks, mutate(suite.right, mutant))
    else:
        with suite.rules[mutant].broken():
            found = first_failure(checks, suite.right)
    return found.witness if found else None


def field_results(found: Mapping[Mutant, str | None]) -> tuple[FieldResult, ...]:
    """Mutants put together by field, in the device file's order."""
    fields: dict[str, dict[str, str | None]] = {}
    for mutant, witness in found.items():
        fields.setdefault(mutant.place, {})[mutant.kind] = witness
    return tuple(FieldResult(name, noticed) for name, noticed in fields.items())


def load_reasons(path: Path | None = None, suite: Suite = DEFAULT) -> dict[str, str]:
    """Field -> why no program notices that it has moved. InputError for an unknown field or one that stands twice."""
    path = path or suite.reasons
    data = load_yaml(path, path.name)
    known = {mutant.place for mutant in mutants(suite.right)}
    reasons: dict[str, str] = {}
    problems = []
    for entry in data["reasons"]:
        for name in entry["fields"]:
            if name not in known or name in reasons:
                found = "stands twice" if name in reasons else "is no field of the device"
                problems.append(Diagnostic(entry.at("fields"), f"`{name}` {found}"))
            reasons[name] = " ".join(str(entry["reason"]).split())
    if problems:
        raise InputError(problems)
    return reasons


def report(
    fields: Sequence[FieldResult],
    mistakes: Sequence[str | None],
    reasons: Mapping[str, str],
    rules: Sequence[Rule] = DEFAULT.rules,
) -> int:
    """Print the tables and the summary; the exit code."""
    console = make_console()
    console.print(LEGEND, markup=False)
    console.print(f"\n{'':32}" + "".join(f"{kind:^7}" for kind in KINDS))
    for field in fields:
        console.print(field.line, markup=False)
    console.print()
    for rule, witness in zip(rules, mistakes, strict=True):
        console.print(f"{LETTERS[witness]}  {rule}", markup=False)
    weak = [field.name for field in fields if not (field.verified and field.killed)]
    console.print("\nFields that may be moved without any program noticing, or changed without anything noticing:")
    for name in weak:
        console.print(f"{name}: {reasons.get(name, 'NO REASON')}", markup=False)
    unneeded = sorted(set(reasons) - set(weak))
    for name in unneeded:
        console.print(f"{name}: has a reason, but programs notice when it moves", markup=False)
    _print_kinds(fields)
    good = _print_summary(fields, mistakes)
    return int(not good or bool(unneeded) or not set(weak) <= set(reasons))


def _print_kinds(fields: Sequence[FieldResult]) -> None:
    """How many of each kind of change every witness was the first to notice."""
    console = make_console()
    console.print()
    for kind in KINDS:
        found = Counter(field.noticed[kind] for field in fields if kind in field.noticed)
        parts = (f"{found[witness]} {witness or 'nothing'}" for witness in (*WITNESSES, None))
        console.print(f"{kind:<8}{', '.join(parts)}")


def _print_summary(fields: Sequence[FieldResult], mistakes: Sequence[str | None]) -> bool:
    """The last line; whether enough is noticed."""
    killed = sum(field.killed for field in fields)
    verified = sum(field.verified for field in fields)
    right = sum(witness is not None for witness in mistakes)
    by_table = sum(field.killed and not field.verified for field in fields)
    make_console().print(
        f"killed {killed} of {len(fields)} fields ({killed / len(fields):.0%}): {verified} by programs when they move, "
        f"{by_table} only by a second reading of the tables; survivors and these listed with reasons; "
        f"arithmetic {right} of {len(mistakes)}"
    )
    return killed >= TARGET * len(fields) and right == len(mistakes)


def main() -> int:
    """Run all mutants; the exit code."""
    parser = argparse.ArgumentParser("python -m bench.mutation", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--device", choices=SUITES, default=DEFAULT.device, help=f"default {DEFAULT.device}")
    parser.add_argument("--corpus", type=Path, help="the vendor's programs for it (default: beside the checkout)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    args = parser.parse_args()
    suite = SUITES[args.device]
    folder = args.corpus or SHARED / suite.corpus
    corpus = folder if folder.is_dir() else None
    if corpus is None:
        print(f"no corpus at {folder}: without the vendor's programs")
    failing = [check.name for check in all_checks(corpus, suite) if check.fails(suite.right)]
    if failing:
        print(f"fail without any mutation: {', '.join(failing)}", file=sys.stderr)
        return 1
    begin = time.monotonic()
    changes = list(mutants(suite.right))
    work = [(suite.device, corpus, one) for one in (*changes, *range(len(suite.rules)))]
    with executor(args.workers) as tasks:
        found = tasks.map(apply, witness_of, work)
    fields = field_results(dict(zip(changes, found[: len(changes)], strict=True)))
    code = report(fields, found[len(changes) :], load_reasons(suite=suite), suite.rules)
    print(f"{len(work)} mutants in {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
