"""The firmware that asks, compiled once, and what any accelerator answers to it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from offramp.configs.device import load_device
from offramp.host.files import write_tree
from offramp.pipeline.compile import compile_firmware
from offramp.silicon.board import AskedAccelerator
from offramp.silicon.log import parse_log
from offramp.silicon.project import MAIN, project_files, script, virtual_log
from offramp.silicon.questions import all_questions
from offramp.silicon.steps import Question
from offramp.silicon.verdicts import Answered, answer

DEVICE = load_device()


@cache
def questions() -> tuple[Question, ...]:
    return all_questions(DEVICE)


@cache
def _program() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory()
    write_tree(Path(folder.name), project_files(questions(), DEVICE))
    return folder, compile_firmware(Path(folder.name), Path(folder.name) / "silicon.elf", main=MAIN).elf


def asked(accelerator: AskedAccelerator) -> dict[str, Answered]:
    """What an accelerator answers, by question."""
    return answers(virtual_log(_program()[1], accelerator, DEVICE))


def answers(log: str) -> dict[str, Answered]:
    found = answer(parse_log(log, "log"), questions(), script(questions()).digest, DEVICE.name)
    return {one.question.name: one for one in found}


@cache
def model_log() -> str:
    """The log of the virtual board."""
    return virtual_log(_program()[1], AskedAccelerator(DEVICE), DEVICE)
