"""Entry into and return from exception handlers (Arm DDI 0403, B1.5.6 to B1.5.8), which Unicorn leaves to its user."""

from __future__ import annotations

import struct
from typing import Any

EXC_RETURN = 0xFFFFFFF9  # to the program, on the main stack, without a frame for the floating-point unit
_FRAME = struct.Struct("<8I")


class Exceptions:
    """Handlers on one core. The frame on the stack is for handlers that look at it: what is restored is kept here,
    floating-point registers included, so a handler cannot change where the program goes on."""

    def __init__(self, engine: Any, arm: Any) -> None:
        self._engine = engine
        self._arm = arm
        self._saved: Any = None
        self._pc = 0

    def enter(self, pc: int, exception: int, handler: int) -> None:
        """Save the program's context and begin a handler."""
        engine, arm = self._engine, self._arm
        self._saved, self._pc = engine.context_save(), pc
        names = ("R0", "R1", "R2", "R3", "R12", "LR", "XPSR")
        registers = [engine.reg_read(getattr(arm, f"UC_ARM_REG_{name}")) for name in names]
        stack = (engine.reg_read(arm.UC_ARM_REG_SP) - _FRAME.size) & ~7
        engine.mem_write(stack, _FRAME.pack(*registers[:6], pc, registers[6]))
        engine.reg_write(arm.UC_ARM_REG_SP, stack)
        engine.reg_write(arm.UC_ARM_REG_LR, EXC_RETURN)
        engine.reg_write(arm.UC_ARM_REG_IPSR, exception)
        engine.reg_write(arm.UC_ARM_REG_PC, handler | 1)

    def leave(self) -> int:
        """Restore the program's context; PRIMASK stays as the handler left it. Where the program goes on."""
        mask = self._engine.reg_read(self._arm.UC_ARM_REG_PRIMASK)
        self._engine.context_restore(self._saved)
        self._engine.reg_write(self._arm.UC_ARM_REG_PRIMASK, mask)
        return self._pc
