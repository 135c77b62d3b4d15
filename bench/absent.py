"""What a benchmark says where the vendor's files that it judges by are not there."""

from __future__ import annotations

import sys
from pathlib import Path

INPUT_WRONG = 2  # the exit code


def absent(place: Path, what: str) -> int:
    """Say on standard error that there is no `what` at a place, and where to get it; the exit code."""
    text = "is not part of the repository; docs/CORPUS.md says where it comes from"
    print(f"{place}: there is no {what}, so nothing is checked. It {text}.", file=sys.stderr)
    return INPUT_WRONG
