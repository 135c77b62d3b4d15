"""An object file of the compiler: its functions with their frames, what they call, and how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any

from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.simulator.board.elf import EXTRA, require_elftools

_CALLS = {10, 30, 51, 102, 103}  # R_ARM_THM_CALL, and JUMP24, JUMP19, JUMP11, JUMP8: the ABI of the Arm architecture
_WRITE, _ALLOCATED, _CODE = 1, 2, 4  # SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR
_RETURNS = ("lr", "pc")


@dataclass(frozen=True)
class Function:
    """A function by its name in the linker's sense; `file.o:name` if only its file knows it.

    stack: bytes of its own frame; None if that depends on values. calls: by name, of itself too. indirect: it calls
    through a pointer.
    """

    name: str
    public: bool
    stack: int | None
    calls: frozenset[str]
    indirect: bool


@dataclass(frozen=True)
class ObjectFile:
    """Bytes by where they end up: code and constants in flash, variables in both (initial values) or in RAM only.

    defined: names that other files can use. pointed_at: names whose address is used other than for a call. missing:
    names that others have to define; those of the tables for unwinding, which are dropped, are not among them.
    """

    name: str
    functions: tuple[Function, ...]
    defined: frozenset[str]
    pointed_at: frozenset[str]
    missing: frozenset[str]
    code: int
    constants: int
    initialised: int
    zeroed: int

    @property
    def flash(self) -> int:
        return self.code + self.constants + self.initialised

    @property
    def ram(self) -> int:
        return self.initialised + self.zeroed


def read_object(name: str, data: bytes, frames: dict[str, int | None]) -> ObjectFile:
    """Read a Thumb object file that was compiled with a section for each function.

    frames: stack of its functions, or of all copies of one (`name.constprop`), as the compiler states it in a file of
    its own; without, section `.stack_sizes` is read. InputError if pyelftools or capstone is not installed, or this
    is no object file.
    """
    require_elftools(name)
    require_capstone(name)
    from elftools.elf.elffile import ELFFile

    try:
        return _Reader(name, ELFFile(BytesIO(data)), frames).read()
    except Exception as error:  # pyelftools trusts what it reads
        raise Damaged(Diagnostic(Where(name), f"not an object file, or damaged: {error!r}")) from error


def require_capstone(name: str) -> None:
    """InputError if the library that reads instructions, such as those in `name`, is not installed."""
    try:
        import_module("capstone")
    except ImportError as error:
        raise InputError(f"capstone is needed to read {name}; {EXTRA}") from error


class _Reader:
    """What the parts of reading share: sections by number, symbols, and the functions among them by section."""

    def __init__(self, name: str, elf: Any, frames: dict[str, int | None]) -> None:
        if (elf["e_machine"], elf["e_type"]) != ("EM_ARM", "ET_REL"):
            raise ValueError(f"a {elf['e_machine']} {elf['e_type']}, not an Arm object file")
        self.name = name
        self.sections = list(elf.iter_sections())
        self.symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        self.found = [symbol for symbol in self.symbols if symbol["st_info"]["type"] == "STT_FUNC"]
        self.by_section = {symbol["st_shndx"]: symbol for symbol in self.found}
        if len(self.by_section) != len(self.found):
            raise ValueError("several functions in a section")
        self.frames = frames or self._stack_sizes()

    def read(self) -> ObjectFile:
        kept = [one for one in self.sections if one["sh_flags"] & _ALLOCATED and not one.name.startswith(".ARM.ex")]
        code = [one for one in kept if one["sh_flags"] & _CODE]
        variables = [one for one in kept if one["sh_flags"] & _WRITE]
        zeroed = [one for one in variables if one["sh_type"] == "SHT_NOBITS"]
        used = {number: self._relocations(number) for number, one in enumerate(self.sections) if one in kept}
        names = {name for relocations in used.values() for _, _, name in relocations}
        values = {name for relocations in used.values() for _, kind, name in relocations if kind not in _CALLS}
        missing = {str(one.name) for one in self.symbols if one["st_shndx"] == "SHN_UNDEF" and one.name}
        return ObjectFile(
            self.name,
            tuple(self._function(number, symbol) for number, symbol in self.by_section.items()),
            frozenset(str(one.name) for one in self.symbols if self._global(one) and one.name not in missing),
            frozenset(values & ({self._key(symbol) for symbol in self.found} | missing)),
            frozenset(names & missing),
            _bytes(code),
            _bytes([one for one in kept if one not in code and one not in variables]),
            _bytes([one for one in variables if one not in zeroed]),
            _bytes(zeroed),
        )

    def _function(self, number: int, symbol: Any) -> Function:
        relocations = {offset: (kind, name) for offset, kind, name in self._relocations(number)}
        calls = {name for kind, name in relocations.values() if kind in _CALLS}
        indirect = False
        for instruction in self._instructions(number):
            target = instruction.op_str
            if instruction.mnemonic in ("bl", "blx") and target.startswith("#"):
                if instruction.address not in relocations:
                    calls.add(self._key(symbol))  # in its own section: itself
            elif instruction.mnemonic in ("bx", "blx"):
                indirect |= target not in _RETURNS
            elif target.startswith("pc, ") and "[sp" not in target:  # a jump through a pointer
                indirect = True
        frame = self.frames.get(symbol.name, self.frames.get(".".join(symbol.name.split(".")[:2])))
        return Function(self._key(symbol), self._global(symbol), frame, frozenset(calls), indirect)

    def _instructions(self, number: int) -> list[Any]:
        """Of a section, without the data in it: the ABI's symbols $t and $d say where code and data begin."""
        from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs

        machine = Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)
        here = [one for one in self.symbols if one["st_shndx"] == number and one.name[:2] in ("$t", "$d")]
        marks = sorted((one["st_value"], one.name[:2]) for one in here)
        data = self.sections[number].data()
        ends = [*(start for start, _ in marks[1:]), len(data)]
        found = []
        for (start, kind), end in zip(marks, ends, strict=True):
            if kind == "$t":
                part = list(machine.disasm(data[start:end], start))
                if sum(one.size for one in part) != end - start:
                    raise ValueError(f"an unknown instruction in {self.sections[number].name}")
                found += part
        return found

    def _relocations(self, number: int) -> list[tuple[int, int, str]]:
        """(offset, type, name of the function or symbol) of what applies to a section."""
        tables = [one for one in self.sections if one["sh_type"] in ("SHT_REL", "SHT_RELA")]
        return [
            (entry["r_offset"], entry["r_info_type"], self._target(self.symbols[entry["r_info_sym"]]))
            for table in tables
            if table["sh_info"] == number
            for entry in table.iter_relocations()
        ]

    def _target(self, symbol: Any) -> str:
        """The symbol's name; of a section the function in it."""
        if symbol["st_info"]["type"] == "STT_SECTION":
            number = symbol["st_shndx"]
            return self._key(self.by_section[number]) if number in self.by_section else str(self.sections[number].name)
        return self._key(symbol)

    def _key(self, symbol: Any) -> str:
        return str(symbol.name) if self._global(symbol) else f"{self.name}:{symbol.name}"

    @staticmethod
    def _global(symbol: Any) -> bool:
        return bool(symbol["st_info"]["bind"] != "STB_LOCAL")

    def _stack_sizes(self) -> dict[str, int | None]:
        """Of clang's sections `.stack_sizes`: an address, to be relocated, and a number in LEB128 for each function. A
        function whose frame depends on values is not among them."""
        from elftools.common.construct_utils import ULEB128

        found: dict[str, int | None] = {}
        for number, section in enumerate(self.sections):
            if section.name != ".stack_sizes":
                continue
            data = section.data()
            for offset, _, name in self._relocations(number):
                size = ULEB128("").parse(data[offset + 4 :])
                found[name.rpartition(":")[2]] = size
        return found


def _bytes(sections: list[Any]) -> int:
    return sum(int(section["sh_size"]) for section in sections)
