"""The Cortex-M4 core of the virtual board, on Unicorn: memory map, running in pieces, and how it stops."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from offramp.configs.device import Device
from offramp.configs.errors import InputError
from offramp.simulator.board import system
from offramp.simulator.board.bus import AcceleratorPort, Bus, Peripherals
from offramp.simulator.board.elf import EXTRA, Image, require_elftools
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.exceptions import Exceptions
from offramp.simulator.board.host import APPLICATION_EXIT, Host
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.board.meter import Meter
from offramp.simulator.clock import Clock
from offramp.simulator.errors import AcceleratorError

PERIPHERALS, PERIPHERALS_BYTES = 0x40000000, 0x100000  # of the chip, APB

PIECE = 20_000  # instructions that run in one piece
SEMIHOSTING = 0xBEAB
WAIT_FOR_INTERRUPT = 0xBF30
_BREAKPOINT, _EXCEPTION_RETURN = 7, 8  # Unicorn's numbers of what BKPT and a jump to an EXC_RETURN value raise


def require_board() -> None:
    """InputError if a library that the virtual board needs is not installed."""
    _unicorn()
    require_elftools("firmware")


def _unicorn() -> tuple[Any, Any]:
    """The emulator and its register numbers; an optional dependency without types."""
    try:
        return import_module("unicorn"), import_module("unicorn.arm_const")
    except ImportError as error:
        raise InputError(f"unicorn is needed for the virtual board; {EXTRA}") from error


class Core:
    """One program on one core. `run` returns the exit status or raises BoardError.

    `clock`: the one that the accelerator has, or a clock of its own. `interrupts`: what others raise too. An interrupt
    is taken between two pieces of instructions: when one of them ends, at WFI, or, with `precise`, as soon as an access
    to a bus has made it due, which takes many times as long.

    An error in a callback is kept and raised after the piece of instructions: stopping Unicorn inside a memory
    callback would make it repeat instructions."""

    def __init__(
        self,
        image: Image,
        device: Device,
        accelerator: Bus,
        host: Host,
        meter: Meter | None = None,
        *,
        clock: Clock | None = None,
        interrupts: Interrupts | None = None,
        precise: bool = False,
    ) -> None:
        self._unicorn, self._arm = unicorn, arm_const = _unicorn()
        self._host = host
        self._clock = clock or Clock(device)
        self._port = AcceleratorPort(accelerator, device, self._clock)
        interrupts = interrupts or Interrupts()
        interrupts.lines[device.core["interrupt"]] = lambda: self._port.done
        self._system = system.SystemControl(self._clock, interrupts, image.vectors, self._port.flush)
        self._failure: BaseException | None = None
        self._fault = ""
        self._accessed = False  # a bus was, in this piece
        self._look = False  # with `precise`: an access may have made an interrupt due
        self._returning = False
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        engine.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        self._engine = engine
        self._exceptions = Exceptions(engine, arm_const)
        self._map(device, meter)
        if precise:
            engine.hook_add(unicorn.UC_HOOK_CODE, self._step)
        self._load(image, device)
        stack, self._pc = (self._word(image.vectors + offset) for offset in (0, 4))
        engine.reg_write(arm_const.UC_ARM_REG_SP, stack)

    def _load(self, image: Image, device: Device) -> None:
        flash = device.core["flash"]
        for segment in image.segments:
            end = segment.address + len(segment.data)
            if not flash <= segment.address <= end <= flash + device.core["flash_bytes"]:
                raise InputError(f"a segment of {len(segment.data)} bytes at {segment.address:#x} is outside the flash")
            self._engine.mem_write(segment.address, segment.data)
        if image.vectors + 8 > flash + device.core["flash_bytes"]:
            raise InputError(f"the vector table at {image.vectors:#x} is not in the flash")

    def _map(self, device: Device, meter: Meter | None) -> None:
        engine, unicorn = self._engine, self._unicorn
        core = device.core
        engine.mem_map(core["flash"], core["flash_bytes"], unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        engine.mem_map(core["sram"], core["sram_bytes"], unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        peripherals = Peripherals(device, self._port, self._host.say, self._clock)
        for base, size, target in (
            (core["accelerator"], core["accelerator_bytes"], self._port),
            (PERIPHERALS, PERIPHERALS_BYTES, peripherals),
            (system.BASE, system.BYTES, self._system),
        ):
            read, write = self._reader(base, target.read), self._writer(base, target.write)
            if meter is not None:
                read, write = meter.reading(base, read), meter.writing(base, write)
            engine.mmio_map(base, size, read, None, write, None)
        if meter is not None:
            engine.hook_add(unicorn.UC_HOOK_CODE, meter.step)
        engine.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)

    def run(self, limit: int) -> int | None:
        """Run to the exit call, or until the program waits for a call of the host: None. `limit`: instructions between
        two answers (counted in whole pieces)."""
        self._host.waiting = False
        left, answers = limit, self._host.answers
        while self._host.ended is None and not self._host.waiting:
            self._piece(min(PIECE, max(left, 1)))
            left -= PIECE
            if self._host.answers > answers:
                left, answers = limit, self._host.answers
            if left <= 0 and self._host.ended is None and not self._host.waiting:
                raise self._error(Ending.LIMIT, f"{limit} instructions without an answer, now at {self._pc:#010x}")
        if self._host.ended is None:
            return None
        reason, status = self._host.ended
        if reason != APPLICATION_EXIT:
            raise self._error(Ending.FAULT, f"exception, reported with {reason:#x}")
        return status

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the core's memory."""
        return bytes(self._engine.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Change the core's memory, flash too."""
        self._engine.mem_write(address, data)

    def _piece(self, count: int) -> None:
        """Some instructions: at most `count`, less if the core sleeps, a handler ends or the program does."""
        self._take_interrupt()
        self._accessed = False
        try:
            self._engine.emu_start(self._pc | 1, 0xFFFFFFFF, count=count)
        except self._unicorn.UcError as error:
            self._raise_failure()
            where = self._engine.reg_read(self._arm.UC_ARM_REG_PC)
            raise self._error(Ending.FAULT, f"{self._fault or error} near {where:#010x}") from error
        self._guard(self._port.flush)
        self._raise_failure()
        if self._returning:
            self._returning = False
            self._system.interrupts.active = None
            self._pc = self._exceptions.leave()
            return
        self._pc = self._engine.reg_read(self._arm.UC_ARM_REG_PC)
        if self._host.ended is not None or self._host.waiting:
            return
        if self._half_word(self._pc - 2) == WAIT_FOR_INTERRUPT:
            self._sleep()
        elif not self._accessed:  # it computes, or waits for a handler to change a variable: that takes time
            self._clock.pass_cycles(count)

    def _sleep(self) -> None:
        """The core has stopped behind a WFI: time passes until something is pending."""
        while self._system.deliverable() is None:
            time = self._system.next_time()
            if time is None:
                raise self._error(Ending.ASLEEP, f"WFI at {self._pc - 2:#010x}")
            self._clock.jump(time)

    def _take_interrupt(self) -> None:
        """Begin the handler of what is due, if nothing hinders it."""
        if self._system.interrupts.active is not None or self._engine.reg_read(self._arm.UC_ARM_REG_PRIMASK):
            return
        exception = self._system.deliverable()
        if exception is None:
            return
        handler = self._word(self._system.vectors + 4 * exception)
        if not handler & 1:
            detail = f"exception {exception} at {self._pc:#010x}; its vector, {handler:#x}, is no code"
            raise self._error(Ending.INTERRUPT, detail)
        self._exceptions.enter(self._pc, exception, handler)
        self._system.begin(exception)
        self._pc = handler & ~1

    # ---- callbacks

    def _guard(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Run a callback; keep what it raises, and do nothing more after that."""
        if self._failure is None:
            try:
                return action(*arguments)
            except BaseException as error:
                self._failure = error
        return 0

    def _reader(self, base: int, read: Callable[[int, int], int]) -> Callable[..., int]:
        def callback(engine: Any, offset: int, size: int, user: Any) -> int:
            self._accessed = self._look = True
            return int(self._guard(read, base + offset, size))

        return callback

    def _writer(self, base: int, write: Callable[[int, int, int], None]) -> Callable[..., None]:
        def callback(engine: Any, offset: int, size: int, value: int, user: Any) -> None:
            self._accessed = self._look = True
            self._guard(write, base + offset, size, value)

        return callback

    def _step(self, engine: Any, address: int, size: int, user: Any) -> None:
        """Before an instruction: end the piece if an access has made an interrupt due."""
        if not self._look or self._failure is not None or self._system.interrupts.active is not None:
            return
        if self._system.deliverable() is None:
            self._look = False
        elif not engine.reg_read(self._arm.UC_ARM_REG_PRIMASK):
            engine.emu_stop()

    def _on_interrupt(self, engine: Any, number: int, user: Any) -> None:
        """A BKPT is a host call; its instruction is two bytes long and is not skipped by itself."""
        if number == _EXCEPTION_RETURN and self._system.interrupts.active is not None:
            self._returning = True
            engine.emu_stop()
            return
        pc = engine.reg_read(self._arm.UC_ARM_REG_PC)
        if number != _BREAKPOINT or self._half_word(pc) != SEMIHOSTING:
            self._failure = self._failure or self._error(Ending.FAULT, f"exception {number} at {pc:#010x}")
            engine.emu_stop()
            return
        engine.reg_write(self._arm.UC_ARM_REG_PC, (pc + 2) | 1)
        self._guard(self._port.flush)
        operation, argument = (engine.reg_read(getattr(self._arm, f"UC_ARM_REG_R{index}")) for index in (0, 1))
        answer = self._guard(self._host.call, operation, argument, engine)
        if self._host.waiting:
            engine.reg_write(self._arm.UC_ARM_REG_PC, pc | 1)  # the read is made again
        else:
            engine.reg_write(self._arm.UC_ARM_REG_R0, answer)
        if self._failure is not None or self._host.ended is not None or self._host.waiting:
            engine.emu_stop()

    def _on_invalid(self, engine: Any, access: int, address: int, size: int, value: int, user: Any) -> bool:
        unicorn = self._unicorn
        kinds = {
            unicorn.UC_MEM_READ_UNMAPPED: "read of nothing",
            unicorn.UC_MEM_WRITE_UNMAPPED: "write to nothing",
            unicorn.UC_MEM_FETCH_UNMAPPED: "jump to nothing",
            unicorn.UC_MEM_WRITE_PROT: "write to flash",
            unicorn.UC_MEM_FETCH_PROT: "jump into data",
        }
        self._fault = f"{kinds.get(access, 'access')} at {address:#010x}"
        return False

    # ---- helpers

    def _raise_failure(self) -> None:
        failure = self._failure
        if isinstance(failure, AcceleratorError):
            raise self._error(Ending.ACCELERATOR, str(failure)) from failure
        if isinstance(failure, ValueError | self._unicorn.UcError):
            raise self._error(Ending.HOST, str(failure)) from failure
        if failure is not None:
            raise failure

    def _error(self, ending: Ending, detail: str) -> BoardError:
        return BoardError(ending, detail, self._host.answers, self._host.console)

    def _word(self, address: int) -> int:
        return int.from_bytes(self._engine.mem_read(address, 4), "little")

    def _half_word(self, address: int) -> int:
        return int.from_bytes(self._engine.mem_read(address, 2), "little")
