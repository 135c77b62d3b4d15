"""Who may know what: the imports of each room, as ARCHITECTURE.md has them, and what a plain start loads.

And where tests are: in the folder of the room that they test, none importing another.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from tests.helpers.paths import ROOT

TOPS = ("configs", "simulator", "planner", "codegen")  # linked into offramp/, which is what is installed
# Rooms from the bottom up: a file imports its own room and rooms of lower levels of the tops that its own may know.
LEVELS = (
    ("configs",),
    ("simulator",),
    ("simulator.board",),
    ("planner.ir", "planner.placement", "planner.tasks"),
    ("planner.hardware", "planner.reference", "planner.spec"),
    ("planner.rules",),
    ("planner.ai8x", "planner.allocation"),
    ("planner.chain",),
    ("planner.exits",),
    ("planner",),
    ("codegen",),
    ("host",),
    ("data",),
    ("pipeline",),
    ("silicon",),
    ("corpus",),
    ("comparison",),
    ("training",),
    ("commands",),
    ("front",),  # cli and what writes documents
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
KNOWS = {"configs": set[str](), "simulator": {"configs"}, "planner": {"configs"}, "codegen": {"configs", "planner"}}
FRONT = {"__init__", "api", "cli", "command_line", "documents", "listings"}
OTHERS = {  # outside the standard library; those that are not here: any
    "configs": {"yaml", "numpy", "cattrs"},
    "simulator": {"numpy"},
    "planner": {"numpy", "networkx", "ortools"},
    "codegen": {"numpy", "jinja2"},
}
BOARD = {"unicorn", "elftools", "capstone"}  # for the virtual board only


def files() -> list[Path]:
    own = [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]
    front = [path for path in sorted((ROOT / "offramp").rglob("*.py")) if path.relative_to(ROOT).parts[1] not in TOPS]
    return own + front


def module_of(path: Path) -> str:
    """As it is imported: `offramp.planner.plan`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "offramp" else ("offramp", *parts))


MODULES = {module_of(path): path for path in files()}


def room_of(module: str) -> str:
    """The room that a module of ours stands in."""
    parts = module.split(".")[1:]
    package = not parts or MODULES[module].name == "__init__.py"
    room = ".".join(parts if package else parts[:-1])
    assert room or not parts or parts[0] in FRONT, f"{module} stands in no room"
    return room or "front"


def imported(path: Path) -> set[str]:
    """Everything that a file imports, wherever in it, or names in a string, as importlib takes it: modules of ours by
    their full name, of others the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & MODULES.keys() or {node.module}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            found |= {node.value} & MODULES.keys()
    return {name if name in MODULES else name.split(".")[0] for name in found} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_what_it_may(module: str) -> None:
    room, names = room_of(module), imported(MODULES[module])
    top = room.split(".")[0] if room.split(".")[0] in TOPS else "offramp"
    for name in names & MODULES.keys():
        other = room_of(name)
        lower = LEVEL[other] < LEVEL[room] or other == room
        known = top == "offramp" or other.split(".")[0] in KNOWS[top] | {top}
        assert lower and known, f"{room} may not import {name}"
    if top in OTHERS:
        board = BOARD if room == "simulator.board" else set()
        assert {name for name in names if name not in MODULES} <= OTHERS[top] | board


def test_only_training_needs_torch() -> None:
    assert {room_of(module) for module, path in MODULES.items() if "torch" in imported(path)} <= {"training"}


def test_every_room_has_a_level() -> None:
    assert {room_of(module) for module in MODULES} == LEVEL.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_old_names_are_gone(module: str) -> None:
    assert not imported(MODULES[module]) & set(TOPS), "import offramp.planner, not planner: only offramp is installed"


def test_no_file_imports_itself_through_others() -> None:
    graph = nx.DiGraph((module, name) for module, path in MODULES.items() for name in imported(path) & MODULES.keys())
    assert [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []


def test_no_import_is_for_type_checking_only() -> None:
    hidden = [module for module, path in MODULES.items() if "TYPE_CHECKING" in path.read_text(encoding="utf-8")]
    assert hidden == []


def test_help_loads_nothing_heavy() -> None:
    script = "import sys; from offramp.cli import main\ntry: main(['--help'])\nfinally: print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "usage: offramp" in run.stdout
    loaded = set(ast.literal_eval(run.stdout.splitlines()[-1]))
    assert loaded.isdisjoint({"numpy", "torch", "ortools", "rich", "yaml", "networkx"})


def test_no_test_imports_another() -> None:
    """What tests share is in tests/helpers."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        assert not [name for name in imported(path) if name.rpartition(".")[2].startswith("test_")], path


def test_tests_are_in_the_folder_of_their_room() -> None:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        folder = path.relative_to(ROOT / "tests").parent
        assert folder == Path("whole") or (ROOT / folder).is_dir(), (
            f"{path}: what takes several rooms is in tests/whole"
        )


def test_the_page_has_the_rooms_and_their_levels() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\d+) \| `([\w.]+)` \|", text, re.MULTILINE)
    assert [(int(level), room) for level, room in table] == [(LEVEL[room], room) for rooms in LEVELS for room in rooms]


@pytest.mark.parametrize("top", [*TOPS, "offramp"])
def test_the_page_says_what_every_file_is_for(top: str) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text[text.index(f"### {top}\n") :].removeprefix("### ").split("\n### ")[0].split("\n## ")[0]
    names = {path.name for module, path in MODULES.items() if path.relative_to(ROOT).parts[0] == top}
    assert [name for name in sorted(names - {"__init__.py"}) if f"`{name}`" not in section] == []


PAGES = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *(f"docs/{name}.md" for name in ("TOUR", "GLOSSARY", "API")),
]


@pytest.mark.parametrize(
    "page", [*PAGES, "docs/PLACEMENT.md", "docs/CHOOSING.md", "docs/PLAN.md", "docs/REPORT.md", "docs/SCALE.md"]
)
def test_the_paths_and_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "|".join((*TOPS, "offramp", "tests", "docs", "bench", "examples"))
    named = re.findall(rf"`((?:{tops})/[\w./*]*)`", text)
    assert [path for path in named if "NAME" not in path and not list(ROOT.glob(path))] == []
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
