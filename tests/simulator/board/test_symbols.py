"""Functions of an ELF file by address, and files that have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.configs.errors import Damaged, InputError
from offramp.pipeline.compile import compile_firmware
from offramp.simulator.board.symbols import UNKNOWN, load_functions
from tests.helpers.firmware_builds import COMPILERS, write_firmware
from tests.helpers.small_firmware import small_firmware

TWIN = """
void %(name)s(void);
static volatile int count;
static __attribute__((noinline)) void twin(void) { count = %(number)s; }
void %(name)s(void) { twin(); }
"""
MAIN = "void first(void); void second(void); int main(void) { first(); second(); return 0; }\n"


def linked(folder: Path, compiler: str) -> Path:
    """A program with two functions of the same name, each known to its file only."""
    write_firmware(small_firmware(), folder)
    (folder / "src" / "a.c").write_text(TWIN % {"name": "first", "number": 1})
    (folder / "src" / "b.c").write_text(TWIN % {"name": "second", "number": 2})
    (folder / "program.c").write_text(MAIN)
    return compile_firmware(folder, folder / "program.elf", compiler, "program.c").elf


@pytest.mark.parametrize("compiler", COMPILERS)
def test_functions_of_the_same_name_are_told_apart(compiler: str, tmp_path: Path) -> None:
    functions = load_functions(linked(tmp_path, compiler))
    twins = [symbol for symbol in functions.symbols if symbol.name.startswith("twin")]
    assert sorted(symbol.name for symbol in twins) == ["twin (a.c)", "twin (b.c)"]
    for symbol in twins:
        assert functions.name(symbol.first) == functions.name(symbol.end - 2) == symbol.name
    assert "main" in functions.entries.values()
    assert functions.name(0) == functions.name(max(one.end for one in functions.symbols)) == UNKNOWN


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_file_without_symbols_is_refused(compiler: str, tmp_path: Path) -> None:
    data = linked(tmp_path, compiler).read_bytes()
    assert data.count(b".symtab\0") == 1
    stripped = tmp_path / "stripped.elf"
    stripped.write_bytes(data.replace(b".symtab\0", b".absent\0"))
    with pytest.raises(InputError) as caught:
        load_functions(stripped)
    assert "names no functions" in str(caught.value) and "stripped.elf" in str(caught.value)
    stripped.write_bytes(data[:200])
    with pytest.raises(Damaged):
        load_functions(stripped)
