"""Errors as values: problems are collected to the end of a stage and reported together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Where:
    """A place in a user's file. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong: where, and what was found against what is allowed."""

    where: Where | None
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class OfframpError(Exception):
    """A failure that is reported to the user without a traceback. `exit_code` as in README.md."""

    exit_code = 1

    def __init__(self, problems: Diagnostic | str | Iterable[Diagnostic]) -> None:
        if isinstance(problems, str):
            problems = Diagnostic(None, problems)
        self.problems: tuple[Diagnostic, ...] = (problems,) if isinstance(problems, Diagnostic) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CheckFailed(OfframpError):
    """A result was computed and a check of it failed (exit code 1)."""

    exit_code = 1


class InputError(OfframpError):
    """The user's input is wrong (exit code 2)."""

    exit_code = 2


class Damaged(InputError):
    """A file that a program has written is damaged or was edited (exit code 2)."""


class Infeasible(OfframpError):
    """What the user wants is proved impossible on the device (exit code 3)."""

    exit_code = 3
