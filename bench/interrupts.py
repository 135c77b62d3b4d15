"""Builds that are ended at random moments, imports included: one line, the right exit code, and nothing left behind.

python -m bench.interrupts 100
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from offramp.cli import main as offramp
from tests.helpers.specs import THREE, write_spec

SIGNALS = {signal.SIGINT: (130, "offramp build: interrupted\n"), signal.SIGTERM: (143, "offramp build: terminated\n")}
OURS = "offramp"  # in a traceback: the program had begun


@dataclass(frozen=True)
class Ended:
    """How a build ended. `early`: before Python had come to the program's first line; `wrong`: empty if it is right."""

    number: int
    moment: float
    code: int
    early: bool
    wrong: str


def write_place(folder: Path) -> float:
    """A spec, a finished build of it and a folder for temporary files; the seconds that a build takes."""
    spec = write_spec(folder, THREE)
    (folder / "tmp").mkdir()
    begin = time.monotonic()
    subprocess.run(_command(spec), check=True, env=_environment(folder), stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def _command(spec: Path) -> list[str]:
    return [sys.executable, "-m", offramp.__module__, "build", str(spec), "-o", str(spec.parent / "out")]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}


def end_build(folder: Path, number: int, moment: float) -> Ended:
    """Send a build a signal after `moment` seconds. What was there before has to be there afterwards, and no more."""
    before, group = _files(folder), number % 3 == 2  # as a terminal does: to the compiler as well
    sent = signal.SIGTERM if number % 2 else signal.SIGINT
    process = subprocess.Popen(
        _command(folder / "spec.yaml"),
        env=_environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        restore_signals=True,
    )
    time.sleep(moment)
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, sent)
    _, errors = process.communicate(timeout=60)
    code, said = SIGNALS[sent]
    early = process.returncode not in (0, code) and OURS not in errors
    wrong = []
    if not early and (process.returncode, errors) not in ((0, ""), (code, said)):
        wrong.append(f"exit code {process.returncode}, {errors[-300:]!r}")
    left = sorted(str(one.relative_to(folder)) for one in _files(folder) ^ before)
    if left:
        wrong.append(f"other files: {', '.join(left)}")
    return Ended(number, moment, process.returncode, early, "; ".join(wrong))


def _files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def main() -> int:
    parser = argparse.ArgumentParser(description="builds ended at random moments")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, codes, failed = random.Random(args.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="interrupts.") as name:
        seconds = write_place(Path(name))
        for number in range(args.count):
            ended = end_build(Path(name), number, rng.uniform(0, seconds))
            codes["before the first line" if ended.early else str(ended.code)] += 1
            failed += bool(ended.wrong)
            if ended.wrong:
                print(f"{number}, after {ended.moment:.3f} of {seconds:.3f} s: {ended.wrong}")
    print(f"{args.count} interrupts, exit codes {dict(codes)}; {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
