"""From `Firmware` to C: the text of every file of the firmware's folder. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offramp.codegen.c_templates import c_templates
from offramp.codegen.external import external_size
from offramp.codegen.firmware import Firmware, InputLayout, Model
from offramp.codegen.firmware_check import input_words, problems
from offramp.codegen.image import Image, lay_out
from offramp.codegen.register_header import register_header
from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Diagnostic, Infeasible
from offramp.planner.hardware.hw_layer import WORD_BYTES

_HERE = Path(__file__).parent
_TEMPLATES = {  # of the files, with the identifier of the firmware for ID
    "Makefile": "Makefile.j2",
    "README.txt": "README.txt.j2",
    "project.mk": "project.mk.j2",
    "include/ID_image.h": "image.h.j2",
    "include/offramp_device.h": "offramp_device.h.j2",
    "src/ID_image.c": "image.c.j2",
    "src/ID_samples.c": "samples.c.j2",
    "src/main.c": "main.c.j2",
    "shim/cnn.h": "cnn.h.j2",
    "emulator/board_device.h": "board_device.h.j2",
    "emulator/board_image.h": "board_image.h.j2",
    "emulator/link.ld": "link.ld.j2",
}

_CLEARING = ("src/offramp_clear.c",)
_EXTERNAL = (  # of firmwares with weights outside flash
    "include/offramp_external.h",
    "src/offramp_external.c",
    "emulator/fetch_emulator.c",
)


def render(firmware: Firmware, device: Device) -> dict[str, str]:
    """File name (relative, with `/`) -> text, sorted by name. CheckFailed names all that cannot be expressed,
    Infeasible says that the flash is too small."""
    found = problems(firmware, device)
    if found:
        raise CheckFailed([Diagnostic(None, f"firmware {firmware.name}: {text}") for text in found])
    image = lay_out(firmware, device)
    _check_size(firmware, len(image.data), device.core["flash_bytes"])
    static = {name: text for name, text in static_files().items() if _belongs(name, firmware, device)}
    files = {**static, "include/cnn_regs.h": register_header(device)}
    values = _values(firmware, image, device)
    for name, template in _TEMPLATES.items():
        if _belongs(name, firmware, device):
            files[name.replace("ID", firmware.identifier)] = c_templates().get_template(template).render(values)
    return dict(sorted(files.items()))


def _belongs(name: str, firmware: Firmware, device: Device) -> bool:
    """Whether a file is part of a firmware: not all have the probe, the vendor's names, weights outside flash, or what
    only some devices can do."""
    if name in _CLEARING:
        return clears_registers(device)
    if name.startswith("probe/"):
        return has_probe(firmware)
    if name.startswith("shim/"):
        return _has_shim(firmware)
    return firmware.external or name not in _EXTERNAL


def clears_registers(device: Device) -> bool:
    """Whether the device has a command that clears the registers of a quadrant."""
    return "clear" in device.registers["TEST"].by_name


def has_probe(firmware: Firmware) -> bool:
    """It is for images with everything in flash."""
    return not firmware.external


def _has_shim(firmware: Firmware) -> bool:
    """The vendor's interface has nothing that reads weights from outside flash, or fills the FIFO."""
    return not firmware.external and not firmware.models[0].input.fifo


def static_files() -> dict[str, str]:
    """The files that are the same in every firmware."""
    root = _HERE / "static"
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _check_size(firmware: Firmware, size: int, room: int) -> None:
    """Infeasible if the image alone is more than the flash. What else there is, only the linker knows."""
    if size > room:
        found = f"firmware {firmware.name}: the image takes {size:,} bytes, the flash has {room:,}"
        cure = "; with `reload: external` in the spec, weights that are written again are outside flash"
        again = any(stage.weights for stage in firmware.stages)
        raise Infeasible([Diagnostic(None, f"{found}{cure if again else ''}")])


def _values(firmware: Firmware, image: Image, device: Device) -> dict[str, Any]:
    """All values that the templates use."""
    measured = [stage.result.values for stage in firmware.stages if stage.exit]
    return {
        "firmware": firmware,
        "device": device,
        "id": firmware.identifier,
        "image": image,
        "models": [_model(firmware, model) for model in firmware.models],
        "reloads": any(model.weights or model.biases for model in firmware.models)
        or any(stage.weights or stage.biases for stage in firmware.stages),
        "output_words": max(-(-stage.result.bytes // WORD_BYTES) for stage in firmware.stages),
        "test_bits": lambda test: firmware.models[test.model].stages[test.stage].result.bits,
        "logits": max(measured, default=1),
        "external_bytes": external_size(firmware),
        "external": firmware.external,
        "probe": has_probe(firmware),
        "has_shim": _has_shim(firmware),
        "shim": _shim(firmware.models[0]),
        "words": input_words,
        "run_channels": _run_channels,
        "hex": hex,
        "pll": device.clock_tree.pll,
        "power_wait_us": device.core.get("power_wait_us", 0),
        "clears": clears_registers(device),
        "keeps_registers": int("start_slot" in device.features),
        "hardware_exits": int("hardware_exits" in device.features),
    }


def _model(firmware: Firmware, model: Model) -> dict[str, Any]:
    """What the C interface calls a model and what is in it. An only model has the firmware's names."""
    several = len(firmware.models) > 1
    lower = f"{firmware.identifier}_{_identifier(model.name)}" if several else firmware.identifier
    return {
        "name": model.name,
        "lower": lower,
        "upper": lower.upper(),
        "stages": len(model.stages),
        "stage_names": _stage_names(model),
        "answers": model.answers,
        "input": model.input,
        "labels": model.labels or _labels(model),
    }


def _stage_names(model: Model) -> dict[str, int]:
    """The numbers of the stages that answer."""
    answering = [(number, stage.name) for number, stage in enumerate(model.stages) if stage.answering]
    names = _distinct([_identifier(name).upper() for _, name in answering])
    return dict(zip(names, (number for number, _ in answering), strict=True))


def _labels(model: Model) -> tuple[str, ...]:
    """What answers without names are called."""
    return tuple(map(str, range(model.answers))) if model.stages[-1].exit else ("result",)


def _shim(model: Model) -> dict[str, int]:
    """What the vendor's interface says of results: bits of all values, and how many the largest has."""
    results = [stage.result for stage in model.stages if stage.answering]
    bits = 8 if all(result.bits == 8 for result in results) else 32
    return {"bits": bits, "outputs": max(result.values for result in results)}


def _identifier(name: str) -> str:
    return re.sub("[^A-Za-z0-9]", "_", name)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names; all with their index behind them if one occurs several times."""
    return list(names) if len(set(names)) == len(names) else [f"{name}_{index}" for index, name in enumerate(names)]


def _run_channels(layout: InputLayout) -> list[str]:
    """The channels of all runs, several runs to a line."""
    texts = [" ".join(str(channel) if channel >= 0 else "-" for channel in run.channels) for run in layout.runs]
    return ["; ".join(texts[first : first + 6]) for first in range(0, len(texts), 6)]
