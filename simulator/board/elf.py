"""An ELF file as the board needs it: its segments, and how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from io import BytesIO
from pathlib import Path

from offramp.configs.bounds import FIRMWARE_FILE
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.extras import install_command
from offramp.configs.files import read_bytes

EXTRA = install_command("board")
_ALLOCATED = 2  # SHF_ALLOC


@dataclass(frozen=True)
class Segment:
    """Bytes at a load address (where they are in flash before the start-up code has run)."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Image:
    """A program for the part. vectors: address of the vector table, the lowest loaded address.

    flash_bytes: code, constants and the initial values of variables. ram_bytes: variables, without the stack."""

    segments: tuple[Segment, ...]
    vectors: int
    flash_bytes: int
    ram_bytes: int

    def with_flipped_bit(self, address: int, bit: int) -> Image:
        """The same program with a bit (0..7) of the byte at a flash address inverted. ValueError if no segment has
        that address."""
        for index, segment in enumerate(self.segments):
            offset = address - segment.address
            if 0 <= offset < len(segment.data):
                data = bytearray(segment.data)
                data[offset] ^= 1 << bit
                others = (self.segments[:index], self.segments[index + 1 :])
                return replace(self, segments=(*others[0], Segment(segment.address, bytes(data)), *others[1]))
        raise ValueError(f"the program has no byte at {address:#x}")


def require_elftools(name: str) -> None:
    """InputError if the library that reads ELF files, such as `name`, is not installed."""
    try:
        import_module("elftools.elf.elffile")
    except ImportError as error:
        raise InputError(f"pyelftools is needed to read {name}; {EXTRA}") from error


def load_image(path: Path) -> Image:
    """Read a 32-bit Arm ELF executable. InputError if the file is missing, is none, or pyelftools is not installed."""
    require_elftools(path.name)
    from elftools.elf.elffile import ELFFile

    where = Where(str(path))
    data = read_bytes(path, FIRMWARE_FILE)
    try:
        elf = ELFFile(BytesIO(data))
        kind = elf["e_machine"], elf["e_type"]
        loads = [segment for segment in elf.iter_segments("PT_LOAD") if segment["p_filesz"]]
        segments = tuple(Segment(segment["p_paddr"], segment.data()) for segment in loads)
        variables = [section for section in elf.iter_sections() if section["sh_flags"] & _ALLOCATED]
        ram = sum(section["sh_size"] for section in variables if section["sh_flags"] & 1)  # SHF_WRITE
    except Exception as error:  # pyelftools trusts what it reads: a damaged file raises anything
        raise Damaged(Diagnostic(where, f"not an ELF file, or damaged: {error or type(error).__name__}")) from error
    if kind != ("EM_ARM", "ET_EXEC"):
        raise InputError(Diagnostic(where, f"a {kind[0]} {kind[1]}; an Arm executable is expected"))
    if not segments:
        raise InputError(Diagnostic(where, "nothing to load in it"))
    vectors = min(segment.address for segment in segments)
    return Image(segments, vectors, sum(len(segment.data) for segment in segments), ram)
