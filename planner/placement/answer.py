"""The answer of a search for a placement: a value, a proof that there is none, or neither within its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Value = TypeVar("Value", covariant=True)


@dataclass(frozen=True)
class Found(Generic[Value]):
    value: Value


@dataclass(frozen=True)
class Impossible:
    """There is no such value. `why`: the argument that proved it, in a word or two."""

    why: str


@dataclass(frozen=True)
class Undecided:
    """Neither found nor proved impossible. `bound`: what is needed at least, as far as proved, in the search's unit."""

    bound: int = 0


Answer: TypeAlias = Found[Value] | Impossible | Undecided
