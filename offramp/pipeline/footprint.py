"""What compiled firmware takes of the part: flash and RAM by object file, and the stack of each call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from offramp.codegen.render import static_files
from offramp.configs.errors import CheckFailed, Diagnostic
from offramp.host.files import fresh_folder, writing
from offramp.pipeline.compile import Compiler, Variant, compile_object, find_compiler, library_sources
from offramp.pipeline.report import FootprintReport, ObjectReport, StackReport
from offramp.pipeline.stack import INTERRUPT_BYTES, INTERRUPT_BYTES_FPU, deepest_stacks
from offramp.simulator.board.objects import Function, ObjectFile, read_object

# What the shipped code may take from a library: what compilers make of assignments and loops. The names of Arm's
# run-time ABI jump to those of C (in zig's library and in newlib), without stack of their own.
_ABI = {
    f"__aeabi_mem{verb}{width}": name
    for verb, name in {"cpy": "memcpy", "move": "memmove", "set": "memset", "clr": "memset"}.items()
    for width in ("", "4", "8")
}
ALLOWED = {*_ABI, *_ABI.values()}
# The table of handlers is the core's: nothing calls through it.
_ENTRIES = ("emulator/reset.c", "emulator/startup.c")
_PUBLIC = ("include/offramp.h", "include/cnn.h")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DECLARED = re.compile(r"\b([a-z_]\w*)\s*\([^()]*\)\s*;")


@dataclass(frozen=True)
class Footprint:
    """All object files of a firmware, and the stack of each function that applications call."""

    objects: tuple[ObjectReport, ...]
    stack: tuple[StackReport, ...]

    @property
    def runtime_bytes(self) -> int:
        """Flash of what never changes; without the tables of a model."""
        return sum(one.code_bytes + one.constant_bytes for one in self.objects if one.part == "runtime")


def measure_footprint(folder: Path, compiler: str = "auto", variant: Variant | None = None) -> Footprint:
    """Compile the sources of a firmware folder one by one and read the object files.

    CheckFailed: recursion, a stack that depends on values, or a function of a library (a heap, printf) where none may
    be; or the compiler refuses the sources.
    """
    found = find_compiler(compiler)
    sources = [source for source in library_sources(folder) if source not in _ENTRIES]
    objects = compile_objects(found, folder, sources, variant or Variant())
    parts = [_part(source) for source in sources]
    here = list(zip(objects, parts, strict=True))
    check_library([one for one, part in here if part != "board"], [one for one, part in here if part == "board"])
    functions = [function for one in objects for function in one.functions]
    functions += [Function(name, True, 0, frozenset({other}), False) for name, other in _ABI.items()]
    pointed_at = {name for one in objects for name in one.pointed_at}
    stacks = deepest_stacks(functions, pointed_at, _public_functions(folder, objects))
    return Footprint(
        tuple(_object(one, part) for one, part in here),
        tuple(StackReport(one.name, one.bytes, one.path) for one in stacks),
    )


def report_footprint(folder: Path, compiler: str) -> FootprintReport:
    """Of the sources as `compile_firmware` compiles them; the runtime's size also at -Os."""
    found = measure_footprint(folder, compiler)
    runtime = [source for source in library_sources(folder) if _part(source) == "runtime"]
    small = compile_objects(find_compiler(compiler), folder, runtime, Variant("-Os"))
    small_bytes = sum(one.flash for one in small)
    return FootprintReport(
        found.runtime_bytes, small_bytes, INTERRUPT_BYTES, INTERRUPT_BYTES_FPU, found.stack, found.objects
    )


def compile_objects(
    compiler: Compiler, folder: Path, sources: Sequence[str], variant: Variant, extra: Sequence[str] = ()
) -> tuple[ObjectFile, ...]:
    """Object files of some sources of a folder, in their order; named like the sources. They are made beside it."""
    found = []
    with ExitStack() as stack:
        with writing(folder):
            scratch = fresh_folder(folder, stack)
        for source in sources:
            output = scratch / Path(source).with_suffix(".o").name
            compile_object(compiler, folder, source, output, variant, extra)
            frames = _frames(output.with_suffix(".su"))
            found.append(read_object(output.name, output.read_bytes(), frames))
    return tuple(found)


def _frames(path: Path) -> dict[str, int | None]:
    """Bytes of each frame in a file of gcc: `file:line:column:name`, bytes, and how, separated by tabs; the largest of
    copies of a function, which have one name here: `name.constprop` of name.constprop.0 and name.constprop.1."""
    if not path.is_file():
        return {}
    found: dict[str, int | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        place, size, how = line.split("\t")
        name = place.rpartition(":")[2]
        before = found.get(name, 0)
        found[name] = None if before is None or how == "dynamic" else max(before, int(size))
    return found


def check_library(shipped: Sequence[ObjectFile], others: Sequence[ObjectFile]) -> None:
    """CheckFailed names what shipped object files need and none has, but for what compilers call of themselves."""
    defined = {name for one in (*shipped, *others) for name in one.defined}
    needed = [(one.name, name) for one in shipped for name in sorted(one.missing - defined)]
    wrong = [f"{file} needs {name}: no source here has it" for file, name in needed if name not in ALLOWED]
    if wrong:
        raise CheckFailed([Diagnostic(None, text) for text in wrong])


def public_headers(folder: Path) -> tuple[Path, ...]:
    """The headers for applications in a firmware folder."""
    return tuple(folder / name for name in _PUBLIC if (folder / name).is_file())


def declared_functions(folder: Path) -> tuple[str, ...]:
    """The functions that the headers for applications declare, in their order."""
    texts = [_COMMENT.sub("", header.read_text(encoding="utf-8")) for header in public_headers(folder)]
    return tuple(dict.fromkeys(name for text in texts for name in _DECLARED.findall(text)))


def _public_functions(folder: Path, objects: Sequence[ObjectFile]) -> tuple[str, ...]:
    """Those that some object file has."""
    there = {function.name for one in objects for function in one.functions if function.public}
    return tuple(name for name in declared_functions(folder) if name in there)


def _part(source: str) -> str:
    if not source.startswith("src/"):
        return "board"
    return "runtime" if source in static_files() else "image"


def _object(one: ObjectFile, part: str) -> ObjectReport:
    return ObjectReport(one.name, part, one.code, one.constants + one.initialised, one.ram)
