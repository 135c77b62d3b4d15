"""What the accelerator model refuses, as one error type."""

from __future__ import annotations

from offramp.configs.errors import OfframpError


class AcceleratorError(OfframpError):
    """The bus program does something the hardware does not do, or whose result is not known.

    The message names what it is about (layer, quadrant, register and field, or address), what was found, and what is
    allowed.
    """


class UndecidedError(AcceleratorError):
    """A run has come to a point from which no source says how it goes on. What it has written is right."""


def field_error(layer: int, field: str, found: object, allowed: str) -> AcceleratorError:
    """An error about one register field of one layer."""
    return AcceleratorError(f"layer {layer}: {field} is {found}; {allowed}")
