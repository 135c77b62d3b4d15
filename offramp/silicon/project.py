"""The firmware that asks: the text of every file of its folder, compiled, and run on the virtual board."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import offramp.codegen
from offramp.codegen.c_templates import c_templates
from offramp.configs.device import Device
from offramp.silicon.board import AskedAccelerator, refused_address
from offramp.silicon.log import FORMAT
from offramp.silicon.steps import Code, Question, Step
from offramp.simulator.board.run import run_program

MAIN = "src/main.c"
LIMIT = 1_000_000_000  # instructions of all questions on the virtual board; some 100 million are needed
_CODEGEN = Path(offramp.codegen.__path__[0])
# Of any firmware's emulator/.
_SHARED = ("library.c", "reset.c", "reset.h", "semihosting.c", "semihosting.h")
_TEMPLATES = {
    "README.txt": "README.txt.j2",
    "project.mk": "project.mk.j2",
    "include/silicon_script.h": "silicon_script.h.j2",
    "src/silicon_script.c": "silicon_script.c.j2",
}


@dataclass(frozen=True)
class TableStep:
    """A step as C has it: its data are `count` words of the table from `first` on."""

    code: Code
    address: int
    value: int
    count: int
    first: int


@dataclass(frozen=True)
class Script:
    """All questions as tables. digest: of the tables, so that a log is read by the questions that it answers."""

    steps: tuple[TableStep, ...]
    data: tuple[int, ...]
    names: tuple[str, ...]
    most_values: int
    digest: str


def script(questions: Sequence[Question]) -> Script:
    names: list[str] = []
    steps: list[Step] = []
    for question in questions:
        names.append(question.name)
        steps.append(Step(Code.ASK, value=len(names) - 1))
        for measurement in question.measurements:
            names.append(measurement.name)
            steps += [*measurement.steps, Step(Code.SAY, value=len(names) - 1)]
    placed, data = _with_data(steps)
    digest = hashlib.sha256(repr((placed, data, names)).encode()).hexdigest()[:8]
    return Script(placed, data, tuple(names), _most_values(steps), digest)


def _with_data(steps: Sequence[Step]) -> tuple[tuple[TableStep, ...], tuple[int, ...]]:
    data: list[int] = []
    first: dict[tuple[int, ...], int] = {}
    placed = []
    for step in steps:
        if step.data and step.data not in first:
            first[step.data] = len(data)
            data += step.data
        count = len(step.data) or step.count
        placed.append(TableStep(step.code, step.address, step.value, count, first.get(step.data, 0)))
    return tuple(placed), tuple(data)


def _most_values(steps: Sequence[Step]) -> int:
    """Most values that one measurement notes."""
    most = noted = 0
    for step in steps:
        noted = 0 if step.code == Code.SAY else noted + (step.code in (Code.TIME, Code.READ, Code.SUMMED, Code.WALK))
        most = max(most, noted)
    return most


def project_files(questions: Sequence[Question], device: Device) -> dict[str, str]:
    """File name (relative, with `/`) -> text, sorted by name."""
    files = _static(_CODEGEN / "silicon", ("src", "include", "emulator"))
    shared = _static(_CODEGEN / "static", ("emulator",))
    files |= {f"emulator/{name}": shared[f"emulator/{name}"] for name in _SHARED}
    files["emulator/link.ld"] = c_templates().get_template("link.ld.j2").render(device=device, hex=hex)
    files["Makefile"] = c_templates().get_template("Makefile.j2").render(external=False, probe=False)
    found = script(questions)
    templates = c_templates(_CODEGEN / "silicon" / "templates")
    values = {**vars(found), "device": device, "format": FORMAT, "refused": refused_address(device)}
    for name, template in _TEMPLATES.items():
        files[name] = templates.get_template(template).render(values)
    return dict(sorted(files.items()))


def _static(root: Path, folders: Sequence[str]) -> dict[str, str]:
    paths = sorted(path for folder in folders for path in (root / folder).glob("*"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def virtual_log(elf: Path, accelerator: AskedAccelerator, device: Device) -> str:
    """The log that the firmware prints on the virtual board. BoardError if it does not come to its end."""
    _, console = run_program(elf, accelerator, device, limit=LIMIT, clock=accelerator.clock)
    return console
