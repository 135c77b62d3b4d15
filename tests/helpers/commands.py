"""What commands print, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from offramp.cli import main


def cost(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """The JSON of `offramp cost`, which must succeed."""
    assert main(["cost", *map(str, arguments), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))
