"""Where the checkout's files are, and what lies beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"  # corpora and stock networks; not part of the project
EXAMPLES = ROOT / "examples"
