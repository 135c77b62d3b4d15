"""Device rules: small functions whose docstrings are the user's messages and the lines of docs/SUPPORTED.md."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from offramp.configs.device import Device


def numbers_of(device: Device) -> dict[str, int]:
    """The device's numbers by the names that docstrings use."""
    geometry, memories = device.geometry, device.memories
    return {
        **device.limits,
        "layers": geometry.layers,
        "stream_layers": geometry.stream_layers,
        "processors": geometry.processors,
        "lanes": geometry.processors_per_instance,
        "last_of_quadrant": geometry.processors_per_quadrant - 1,
        "instance_bytes": device.instance_bytes,
        "columns": memories["weights"].words,
        "column_bytes": memories["weights"].word_bytes,
        "input_volume": device.registers["STRM1"].by_name["input_volume"].limit,
        "tram_words": memories["tram"].words,
        "data_bank_bytes": memories["data"].bank_words * memories["data"].word_bytes,
    }


def message_of(rule: Callable[..., Any], numbers: Mapping[str, int]) -> str:
    """A rule's docstring on one line, with the device's numbers in place of the names in braces."""
    text = inspect.cleandoc(rule.__doc__ or "")
    return " ".join(text.split()).format_map(numbers)
