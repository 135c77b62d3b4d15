"""The folder of examples/mnist: with this module imported, so can be its modules."""

from __future__ import annotations

import sys
from pathlib import Path

MNIST = Path(__file__).resolve().parent.parent / "mnist"
sys.path.append(str(MNIST))
