"""Programs for the virtual board with several images of small chains, and what is right about their models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.board_inputs import pixels_of
from offramp.codegen.assemble import assemble
from offramp.codegen.firmware import Firmware, InputLayout
from offramp.codegen.render import render
from offramp.configs.device import Device, load_device
from offramp.pipeline.compile import compile_firmware
from offramp.planner.ir.chain import Chain
from offramp.planner.reference.confidence import confident
from offramp.planner.reference.profile import profile
from tests.helpers.plans import plan_of
from tests.helpers.specs import STAGED, THREE, TINY, write_spec


@dataclass(frozen=True)
class StageAnswer:
    """What a stage answers to an input: `values` of its result, in the order channel, row, column; `data`: the same as
    bytes of the accelerator."""

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
        self.thresholds = tuple(_threshold(stage.exit) for stage in chain.exits)

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
            self._known[frame] = tuple(
                _stage_answer(logits[0], int(confidence[0]), shape[3])
                for logits, confidence, shape in zip(found.logits, found.confidence, self.stages, strict=True)
            )
        return self._known[frame]

    def confident(self, stage: int, confidence: int, threshold: int) -> bool:
        """Whether a stage that is not the last may answer."""
        rule = self._chain.exits[stage].exit
        assert rule is not None
        return bool(confident(rule.measure, np.array([confidence], np.uint32), threshold)[0])


def _threshold(rule: object) -> int:
    threshold = getattr(rule, "threshold", None)
    return int(threshold) if threshold is not None else 0


def _stage_answer(logits: NDArray[np.int32], confidence: int, bits: int) -> StageAnswer:
    data = logits.astype(np.int8 if bits == 8 else "<i4").tobytes()
    return StageAnswer(int(logits.argmax()), confidence, tuple(logits.ravel().tolist()), data)


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
        firmwares.append(assemble(made.lowered, name))
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
    texts = {"memory": (THREE, TINY), "fifo": (STAGED.spec(twice, front="fifo: true", streaming="fifo: true"), STAGED)}
    for name, (text, family) in texts.items():
        (folder / name).mkdir()
        specs[name] = write_spec(folder / name, text, family)
    return build_images(folder, specs)
