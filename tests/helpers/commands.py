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


def cost_of_changed(build: Path, content: dict[str, Any]) -> int:
    """Exit code of `offramp cost` for a build's plan with other content."""
    path = build / "changed.json"
    path.write_text(json.dumps(content))
    try:
        return main(["cost", str(path)])
    finally:
        path.unlink()
