"""Flash, RAM and the deepest stack of each call, of a built firmware, for each compiler, level and floating-point ABI.

    python -m bench.size [BUILD_DIR]

Exit code 1 if the runtime, without the tables of the model, takes more than 6 KiB at -Os.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from offramp.configs.errors import InputError
from offramp.pipeline.compile import COMPILERS, Variant, find_compiler
from offramp.pipeline.footprint import Footprint, measure_footprint

BUILT = Path(__file__).parents[1] / "build" / "mnist"
RUNTIME_LIMIT = 6 * 1024
VARIANTS = (Variant("-O2", "soft"), Variant("-O2", "hard"), Variant("-Os", "soft"), Variant("-Os", "hard"))


def main() -> int:
    parser = argparse.ArgumentParser(description="flash, RAM and stack of a built firmware")
    parser.add_argument("build", type=Path, nargs="?", default=BUILT, metavar="BUILD_DIR")
    args = parser.parse_args()
    folder = args.build / "firmware"
    if not folder.is_dir():
        parser.error(f"{folder} does not exist; `offramp build` makes it")
    small = []
    for name in COMPILERS:
        try:
            compiler = find_compiler(name)
        except InputError as error:
            print(f"left out: {error}")
            continue
        found = {variant: measure_footprint(folder, name, variant) for variant in VARIANTS}
        print(f"{name} {compiler.version}", *table(found), "", sep="\n")
        small += [one.runtime_bytes for variant, one in found.items() if variant.level == "-Os"]
    verdict = "within" if max(small) <= RUNTIME_LIMIT else "MORE THAN"
    print(f"runtime at -Os: at most {max(small):,} bytes, {verdict} the {RUNTIME_LIMIT:,} that it may take")
    return 0 if max(small) <= RUNTIME_LIMIT else 1


def table(found: Mapping[Variant, Footprint]) -> Sequence[str]:
    """Lines of text, a column for each variant."""
    heads = [f"{variant.level} {variant.floats}" for variant in found]
    rows = [_row("bytes of flash", heads)]
    first, *_ = prints = list(found.values())
    for index, one in enumerate(first.objects):
        sizes = [other.objects[index] for other in prints]
        rows.append(_row(f"  {one.part} {one.name}", [f"{size.code_bytes + size.constant_bytes:,}" for size in sizes]))
    rows.append(_row("runtime, without tables", [f"{one.runtime_bytes:,}" for one in prints]))
    ram = [sum(one.ram_bytes for one in other.objects if one.part != "board") for other in prints]
    rows.append(_row("bytes of RAM, without stack", [f"{size:,}" for size in ram]))
    rows.append(_row("bytes of stack, at most", [""] * len(heads)))
    for index, stack in enumerate(first.stack):
        rows.append(_row(f"  {stack.call}", [f"{other.stack[index].bytes:,}" for other in prints]))
    return rows


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name:<34}" + "".join(f"{cell:>12}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
