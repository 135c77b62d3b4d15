"""Who may know what: the imports of each part, as ARCHITECTURE.md has them, and what a plain start costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = {"configs", "simulator", "planner", "codegen", "offramp"}
# Our own parts that each may import, and (None: any) what it may import of others beside the standard library
OWN = {"configs": set[str](), "simulator": {"configs"}, "planner": {"configs"}, "codegen": {"configs", "planner"}}
OTHERS = {"configs": {"yaml", "numpy"}, "simulator": {"numpy"}}
BOARD = {"unicorn", "elftools"}  # for files of the virtual board only


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "path",
    [p for part in sorted(OWN) for p in sorted((ROOT / part).rglob("*.py"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_a_part_imports_what_it_may(path: Path) -> None:
    part = path.relative_to(ROOT).parts[0]
    names = imported(path)
    assert names & PARTS <= {part} | OWN[part]
    if part in OTHERS:
        board = BOARD if path.name.startswith("board") else set()
        assert names - PARTS <= OTHERS[part] | board


def test_help_loads_nothing_heavy() -> None:
    script = "import sys; from offramp.cli import main\ntry: main(['--help'])\nfinally: print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "usage: offramp" in run.stdout
    loaded = set(ast.literal_eval(run.stdout.splitlines()[-1]))
    assert loaded.isdisjoint({"numpy", "torch", "ortools", "rich", "yaml", "networkx"})
