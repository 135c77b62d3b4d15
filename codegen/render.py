"""From `Firmware` to C: the text of every file of the firmware's folder. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from offramp.codegen.firmware import BusWrite, Firmware, InputLayout, InputRun, Logit, StageCode
from offramp.codegen.firmware_check import input_words, problems
from offramp.codegen.register_header import register_header
from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Diagnostic

_HERE = Path(__file__).parent
_TEMPLATES = {
    "README.txt": "README.txt.j2",
    "project.mk": "project.mk.j2",
    "include/offramp_model.h": "offramp_model.h.j2",
    "src/offramp_model.c": "offramp_model.c.j2",
    "src/offramp_samples.c": "offramp_samples.c.j2",
}
_MEASURES = {"margin": "OFFRAMP_MARGIN", "max_probability": "OFFRAMP_MAX_PROBABILITY", "entropy": "OFFRAMP_ENTROPY"}


def render(firmware: Firmware, device: Device) -> dict[str, str]:
    """File name (relative, with `/`) -> text, sorted by name. CheckFailed names all that cannot be expressed."""
    found = problems(firmware, device)
    if found:
        raise CheckFailed([Diagnostic(None, f"firmware {firmware.name}: {text}") for text in found])
    files = {**static_files(), "include/cnn_regs.h": register_header(device)}
    environment = _environment()
    values = _values(firmware, device)
    for name, template in _TEMPLATES.items():
        files[name] = environment.get_template(template).render(values)
    return dict(sorted(files.items()))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["word"] = lambda value: f"0x{value:08x}u"
    return environment


def static_files() -> dict[str, str]:
    """The files that are the same in every firmware."""
    root = _HERE / "static"
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _values(firmware: Firmware, device: Device) -> dict[str, Any]:
    """All values that the templates use."""
    return {
        "firmware": firmware,
        "device": device,
        "transitions": sorted(firmware.transitions.items()),
        "weight_words": [int(word) for chunk in firmware.weights for word in chunk.words],
        "weight_chunks": _with_starts(firmware.weights, [len(chunk.words) for chunk in firmware.weights]),
        "bias_bytes": [int(value) for run in firmware.biases for value in run.values],
        "bias_runs": _with_starts(firmware.biases, [len(run.values) for run in firmware.biases]),
        "labels": firmware.labels or tuple(str(index) for index in range(firmware.classes)),
        "measures": _MEASURES,
        "register": lambda address: _register(device, address),
        "mask": _mask,
        "words": input_words,
        "offsets": lambda run: _offsets(firmware.input, run),
        "lanes": lambda run: sum(0xFF << 8 * lane for lane, channel in enumerate(run.channels) if channel >= 0),
        "run_channels": _run_channels,
        "stops": lambda stage: _stops(stage, firmware.input.fifo, device),
        "by_word": _by_word,
        "hex": hex,
    }


def _with_starts(items: Sequence[Any], lengths: Sequence[int]) -> list[tuple[Any, int]]:
    starts = [sum(lengths[:position]) for position in range(len(lengths))]
    return list(zip(items, starts, strict=True))


def _offsets(layout: InputLayout, run: InputRun) -> list[str]:
    """Where the channels of a run start in the application's bytes; that of any channel for a lane without one."""
    pixels = layout.shape[1] * layout.shape[2]
    any_channel = max(run.channels)
    return [f"{pixels * (channel if channel >= 0 else any_channel)}u" for channel in run.channels]


def _run_channels(layout: InputLayout) -> list[str]:
    """The channels of all runs, several runs to a line."""
    texts = [" ".join(str(channel) if channel >= 0 else "-" for channel in run.channels) for run in layout.runs]
    return ["; ".join(texts[first : first + 6]) for first in range(0, len(texts), 6)]


def _stops(stage: StageCode, fifo: bool, device: Device) -> list[BusWrite]:
    """CTRL of each quadrant as it is while the stage runs, without the bits that stopping clears."""
    control = device.registers["CTRL"]
    running = ("enable", "done", "fifo", "stream", "circular", "sync_enable") if fifo else ("enable", "done")
    addresses = {device.register_address("CTRL", quadrant) for quadrant in stage.quadrants}
    held = {write.address: write.value for write in stage.start if write.address in addresses}
    return [
        BusWrite(address, control.encode({**control.decode(value), **dict.fromkeys(running, 0)}))
        for address, value in held.items()
    ]


def _by_word(logits: Sequence[Logit]) -> list[tuple[int, list[tuple[int, Logit]]]]:
    """(address, (index, logit) of those in the word), in the order of the first: a word of byte logits is read once."""
    found: dict[int, list[tuple[int, Logit]]] = {}
    for index, logit in enumerate(logits):
        found.setdefault(logit.address, []).append((index, logit))
    return list(found.items())


def _mask(quadrants: Iterable[int]) -> int:
    return sum(1 << quadrant for quadrant in quadrants)


def _register(device: Device, address: int) -> str:
    """The register at a bus address, for a comment: `quadrant 1 layer 3 RCNT`."""
    place = device.locate(address)
    assert place is not None  # firmware_check has checked every address
    layer = f" layer {place.unit}" if place.unit >= 0 else ""
    return f"quadrant {place.quadrant}{layer} {place.name}"
