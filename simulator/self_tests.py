"""The TEST register: self tests and zeroing of memories, and clearing of registers where the device can do it."""

from __future__ import annotations

from offramp.configs.registers import Register
from offramp.simulator.errors import AcceleratorError

CLEARED = (0x18, 0x1C)  # TEST.select with TEST.clear: registers, and biases too (izer, MSDK)
SELF_TESTS = ("data", "mask", "tram", "bias")  # memories in TEST's fields
SPARED = ("CTRL", "SRAM", "TEST")  # registers that clearing does not reach


def test_status(register: Register, value: int) -> int:
    """Status bits of TEST: what is asked for is done at once, and no test ever fails."""
    fields = register.decode(value)
    status: dict[str, int] = {"clear_done": fields.get("clear", 0)}
    for kind in ("bist", "zero"):
        asked = [fields.get(f"{memory}_{kind}", 0) for memory in SELF_TESTS]
        status |= {f"{memory}_{kind}_done": done for memory, done in zip(SELF_TESTS, asked, strict=True)}
        status[f"{kind}_done"] = int(any(asked))
    return register.encode({name: value for name, value in status.items() if name in register.by_name})


def check_clear(quadrant: int, select: int) -> None:
    """AcceleratorError for a clear of something else than is known."""
    if select not in CLEARED:
        known = " and ".join(f"{one:#x}" for one in CLEARED)
        raise AcceleratorError(f"quadrant {quadrant}: TEST.select is {select:#x} with clear; only {known} are known")
