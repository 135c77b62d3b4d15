"""The functions of an ELF file, by address."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from offramp.configs.bounds import FIRMWARE_FILE
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import read_bytes
from offramp.simulator.board.elf import require_elftools

UNKNOWN = "(no symbol)"


@dataclass(frozen=True)
class Symbol:
    """A function: its first address, the one behind its end, and its name; `name (file.c)` if several have the name."""

    first: int
    end: int
    name: str


class Functions:
    """Functions in the order of their addresses."""

    def __init__(self, symbols: list[Symbol]) -> None:
        self.symbols = tuple(sorted(symbols, key=lambda symbol: (symbol.first, symbol.end)))
        self._starts = [symbol.first for symbol in self.symbols]
        self.entries = {symbol.first: symbol.name for symbol in self.symbols}

    def name(self, address: int) -> str:
        """The function that an instruction belongs to, or UNKNOWN."""
        index = bisect_right(self._starts, address) - 1
        found = self.symbols[index] if index >= 0 else None
        return found.name if found and address < found.end else UNKNOWN


def load_functions(path: Path) -> Functions:
    """The functions of an Arm executable. InputError if it has no table of symbols, or pyelftools is not installed."""
    require_elftools(path.name)
    from elftools.elf.elffile import ELFFile

    where = Where(str(path))
    data = read_bytes(path, FIRMWARE_FILE)
    try:
        table: Any = ELFFile(BytesIO(data)).get_section_by_name(".symtab")
        found = _found(table.iter_symbols()) if table else []
    except Exception as error:  # pyelftools trusts what it reads: a damaged file raises anything
        raise Damaged(Diagnostic(where, f"not an ELF file, or damaged: {error or type(error).__name__}")) from error
    if not found:
        message = "names no functions: its table of symbols has been stripped; build again, without `strip` or `-s`"
        raise InputError(Diagnostic(where, message))
    return Functions(found)


def _found(symbols: Any) -> list[Symbol]:
    """Thumb addresses are odd in the table. Symbols of a file stand behind the symbol of that file."""
    rows: list[tuple[int, int, str, str]] = []
    file = ""
    for symbol in symbols:
        kind = symbol["st_info"]["type"]
        if kind == "STT_FILE":
            file = str(symbol.name)
        elif kind == "STT_FUNC" and symbol["st_size"]:
            local = symbol["st_info"]["bind"] == "STB_LOCAL"
            rows.append((symbol["st_value"] & ~1, symbol["st_size"], str(symbol.name), file if local else ""))
    names = [name for _, _, name, _ in rows]
    return [
        Symbol(first, first + size, f"{name} ({file})" if file and names.count(name) > 1 else name)
        for first, size, name, file in rows
    ]
