"""Programs for the virtual board with several images of small chains, and what is right about their models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from bench.board_inputs import pixels_of
from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import Firmware, InputLayout
from offramp.codegen.image import BY_CLASS
from offramp.codegen.render import render
from offramp.configs.device import Device, load_device
from offramp.pipeline.compile import compile_firmware
from offramp.planner.ir.chain import Chain, ExitStage
from offramp.planner.reference.exits import leaving
from offramp.planner.reference.profile import Profile, profile
from tests.helpers.plans import plan_of
from tests.helpers.specs import MEANING, STAGED, THREE, TINY, write_spec


@dataclass(frozen=True)
class StageAnswer:
    """What a stage answers to an input: `values` of its result, in the order channel, row, column; `data`: the same as
    bytes of the accelerator."""

    answer: int
    class_index: int
    confidence: int
    values: tuple[int, ...]
    data: bytes


class ModelFacts:
    """A model of an image: what its inputs are, and its answers by the integer reference."""

    def __init__(self, chain: Chain, firmware: Firmware) -> None:
        self._chain = chain
        self.layout: InputLayout = firmware.models[0].input
        self._known: dict[bytes, tuple[StageAnswer, ...]] = {}
        self.stages = tuple((*stage.result.shape, stage.result.bits) for stage in firmware.stages)
        self.fifo = self.layout.fifo
        self.thresholds = tuple(_threshold(stage) for stage in chain.exits)

    @property
    def pixels(self) -> int:
        return pixels_of(self.layout)

    @property
    def input_bytes(self) -> int:
        return self.layout.shape[0] * self.pixels

    def merge(self, before: bytes, data: bytes, first: int, pixels: int) -> bytes:
        """An input with some pixels of another."""
        old, new = (np.frombuffer(one, np.int8).reshape(-1, self.pixels) for one in (before, data))
        merged = old.copy()
        merged[:, first : first + pixels] = new[:, first : first + pixels]
        return merged.tobytes()

    def answer(self, frame: bytes) -> tuple[StageAnswer, ...]:
        """What every stage answers."""
        if frame not in self._known:
            x = np.frombuffer(frame, np.int8).reshape(1, *self.layout.shape)
            found = profile(self._chain, x)
            self._known[frame] = tuple(_stage_answer(found, stage, shape[3]) for stage, shape in enumerate(self.stages))
        return self._known[frame]

    def leaves(self, stage: int, frame: bytes, threshold: int) -> bool:
        """Whether a stage that is not the last may answer."""
        planned = self._chain.exits[stage]
        if threshold != BY_CLASS:
            planned = replace(planned, exit=replace(planned.rule, threshold=threshold, by_class=()))
        given = self.answer(frame)[stage]
        found = leaving(planned, np.array([given.class_index]), np.array([given.confidence], np.uint32))
        return bool(found[0])


def _threshold(stage: ExitStage) -> int:
    """What a stage starts with."""
    if stage.exit and stage.exit.by_class:
        return BY_CLASS
    return (stage.exit.threshold or 0) if stage.exit else 0


def _stage_answer(found: Profile, stage: int, bits: int) -> StageAnswer:
    values = found.results[stage][0]
    data = values.astype(np.int8 if bits == 8 else "<i4").tobytes()
    answer = int(found.answers[stage][0]) % (1 << 32)
    return StageAnswer(
        answer, int(found.classes[stage][0]), int(found.confidence[stage][0]), tuple(values.tolist()), data
    )


@dataclass(frozen=True)
class BoardImages:
    """A program: its ELF file, and for each image its models."""

    elf: Path
    device: Device
    images: tuple[tuple[ModelFacts, ...], ...]
    firmwares: tuple[Firmware, ...]

    @cached_property
    def first(self) -> ModelFacts:
        return self.images[0][0]


def build_images(folder: Path, specs: Mapping[str, Path]) -> BoardImages:
    """One program with an image for each spec; `specs`: by names that become the images'."""
    device = load_device()
    sources = folder / "firmware"
    facts, firmwares = [], []
    for name, spec in specs.items():
        made = plan_of(spec, device)
        firmwares.append(assemble(made.lowered, name, labels=made.plan.spec.names))
        facts.append((ModelFacts(made.chain, firmwares[-1]),))
        write(sources, render(firmwares[-1], device))
    identifiers = [firmware.identifier for firmware in firmwares]
    includes = "".join(f'#include "{name}_image.h"\n' for name in identifiers)
    pointers = ", ".join(f"&{name}_image" for name in identifiers)
    write(
        sources,
        {"emulator/board_image.h": f"{includes}static const offramp_image_t *const board_images[] = {{{pointers}}};\n"},
    )
    elf = compile_firmware(sources, folder / "firmware.elf").elf
    return BoardImages(elf, device, tuple(facts), tuple(firmwares))


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def two_images(folder: Path) -> BoardImages:
    """Three stages with an input in data memory, and two stages that get it through the FIFO."""
    specs = {}
    twice = """stages:
  - {network: front, exit: {confidence: margin, threshold: 0.02}}
  - {network: streaming}
"""
    texts = {
        "memory": (THREE, TINY),
        "meaning": (MEANING, TINY),
        "fifo": (STAGED.spec(twice, front="fifo: true", streaming="fifo: true"), STAGED),
    }
    for name, (text, family) in texts.items():
        (folder / name).mkdir()
        specs[name] = write_spec(folder / name, text, family)
    return build_images(folder, specs)
