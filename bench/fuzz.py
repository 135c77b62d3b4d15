"""Damaged inputs of every kind, each to every command that reads it: a message and a documented exit code.

    python -m bench.fuzz 10000        prints what went wrong with which mutant, and how often each exit code came

Mutants are numbered: `python -m bench.fuzz 1 --first 4711` does one of them again.
"""

from __future__ import annotations

import argparse
import gzip
import io
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.fuzz_mutators import BY_SUFFIX, mutate, pick
from offramp.cli import main as offramp
from tests.helpers.cases import write_case
from tests.helpers.specs import BRANCH, FRONT, MAIN_STAGE, THREE, TINY, write_files

SECONDS = 20
MEMORY = 1 << 30  # bytes that the program may take at most
DOCUMENTED = {0, 1, 2, 3}  # and those of signals, which nobody sends here
AUTO = TINY.spec("", front="", main="", head="").replace("offramp: 1\n", "offramp: 1\nexits: auto\n") + (
    "main: main\nchoose: {data: calibration, accuracy_drop: 20, minimise: cycles}\n"
)
CALIBRATED = TINY.spec(
    "calibrate: {data: calibration, accuracy_drop: 60, risk: {delta: 0.3}}\nlabels: [a, b, c]\n"
    "clocks: {core_hz: 50000000, cnn_hz: 25000000}\n"
    "stages:\n  - {network: front, exit: {confidence: margin, temperature: 0.5}}\n" + MAIN_STAGE,
    front="",
    main="processors: free, offsets: free",
)
SPECS = {"front": FRONT, "branch": BRANCH, "three": THREE, "auto": AUTO, "calibrated": CALIBRATED}


class TooLong(BaseException):
    """A mutant has taken more than the seconds that it may."""


@dataclass(frozen=True)
class Target:
    """A file that is damaged, and a command line that reads it."""

    file: Path
    words: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What a mutant did: `wrong` is empty if that is right."""

    number: int
    target: Target
    code: int
    seconds: float
    peak: int  # bytes
    wrong: str


def write_material(folder: Path) -> tuple[Target, ...]:
    """Good files of every kind in a folder, and what reads them."""
    write_files(folder)
    targets = []
    for name, text in SPECS.items():
        spec = folder / f"{name}.yaml.spec.yaml"
        spec.write_text(text)
        used = [folder / f"{one}{suffix}" for one in ("front", "main", "head") for suffix in (".yaml", ".pth.tar")]
        data = [folder / "test.npz", folder / "calibration.npz"]
        for file in (spec, spec, spec, *used, *data):
            targets += [Target(file, (command, str(spec))) for command in ("plan", "cost", "compare")]
    for name in ("front", "main"):
        for file in (folder / f"{name}.yaml", folder / f"{name}.pth.tar"):
            words = ("check", str(folder / f"{name}.yaml"), "--input", TINY.input, "--checkpoint")
            targets += [Target(file, (*words, str(folder / f"{name}.pth.tar")))] * 5
    built, case = folder / "built", write_case(folder / "case")
    with redirect_stdout(io.StringIO()):
        assert offramp(["build", str(folder / "three.yaml.spec.yaml"), "-o", str(built), "--images", "2"]) == 0
        assert offramp(["replay", str(case)]) == offramp(["synth", str(case)]) == 0
    for name in ("plan.json", "report.json", "firmware.elf", "manifest.json"):
        targets += [
            Target(built / name, ("run", str(built), "--images", "2")),
            Target(built / name, ("compare", str(built))),
        ]
        targets += [
            Target(built / name, ("compare", str(built / "plan.json"))),
            Target(built / name, ("cost", str(built))),
        ]
    for file in sorted(case.iterdir()):
        targets += [Target(file, (command, str(case))) for command in ("replay", "synth", "diff", "compare", "cost")]
    targets += data_targets(folder / "data")
    np.save(folder / "one.npy", np.zeros(TINY.shape, np.int8))
    targets += [Target(folder / "one.npy", ("run", str(built), "--input", str(folder / "one.npy")))] * 4
    return tuple(targets)


def data_targets(folder: Path) -> list[Target]:
    """Sources of data sets of every kind: arrays, idx files, pictures."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 1, 6, 6), np.uint8), (np.arange(40) % 4).astype(np.uint8)
    sources = {kind: folder / kind for kind in ("arrays", "idx", "pictures/cat")}
    for source in sources.values():
        source.mkdir(parents=True)
    np.savez(sources["arrays"] / "a.npz", x=x, y=y, groups=y, classes=np.array(["a", "b", "c", "d"]))
    for name, array in (("images-idx3", x[:, 0]), ("labels-idx1", y)):
        content = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        (sources["idx"] / f"train-{name}-ubyte").write_bytes(content)
        (sources["idx"] / f"t10k-{name}-ubyte.gz").write_bytes(gzip.compress(content, mtime=0))
    for suffix in (".png", ".bmp", ".jpg", ".ppm"):
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(sources["pictures/cat"] / f"a{suffix}")
    words = ("-o", str(folder / "sets"), "--calibration", "1")
    files = [file for source in sources.values() for file in sorted(source.iterdir())]
    return [Target(file, ("data", str(folder / file.relative_to(folder).parts[0]), *words)) for file in files] * 2


@contextmanager
def limits() -> Iterator[None]:
    """An alarm that is TooLong, and an end to the memory of this process that is far behind MEMORY."""

    def ring(*_: object) -> None:
        raise TooLong

    before, handler = resource.getrlimit(resource.RLIMIT_DATA), signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(resource.RLIMIT_DATA, (_status("VmData") + 8 * MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        signal.signal(signal.SIGALRM, handler)


def _status(name: str) -> int:
    """A figure of this process, bytes: VmData is private memory, VmHWM the most that was resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def try_mutant(number: int, targets: tuple[Target, ...], run: Callable[[list[str]], int] = offramp) -> Result:
    """Damage a file, run the command, put the file right again."""
    rng = np.random.default_rng(number)
    target = pick(rng, targets)
    good = target.file.read_bytes()
    target.file.write_bytes(mutate(BY_SUFFIX[target.file.suffix], good, rng))
    neighbours = set(target.file.parent.iterdir())
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins again
    out, err, begin = io.StringIO(), io.StringIO(), time.monotonic()
    signal.alarm(SECONDS)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = run([*target.words])
    except TooLong:
        code = -1
    finally:
        signal.alarm(0)
        target.file.write_bytes(good)
    seconds = time.monotonic() - begin
    peak = _status("VmHWM")
    left = set(target.file.parent.iterdir()) - neighbours
    wrong = _wrong(code, err.getvalue(), out.getvalue(), seconds, left)
    if peak > MEMORY:
        wrong += f"; {peak >> 20:,} MiB"
    return Result(number, target, code, seconds, peak, wrong)


def _wrong(code: int, errors: str, printed: str, seconds: float, left: set[Path]) -> str:
    if code == -1 or seconds > SECONDS:
        return f"{seconds:.0f} s"
    if code not in DOCUMENTED:
        return f"exit code {code}: {errors.strip()[-300:]}"
    if "Traceback" in errors or "Warning" in errors:
        return errors.strip()[-300:]
    if left:
        return f"left {', '.join(map(str, left))}"
    return "" if code == 0 or errors or printed else "no message"


def main() -> int:
    parser = argparse.ArgumentParser(description="damaged inputs of every kind")
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    args = parser.parse_args()
    codes: Counter[int] = Counter()
    failed, slowest, peak = 0, 0.0, 0
    folder = Path(tempfile.mkdtemp(prefix="fuzz."))
    try:
        targets = write_material(folder)
        with limits():
            for number in range(args.first, args.first + args.count):
                result = try_mutant(number, targets)
                codes[result.code] += 1
                failed += bool(result.wrong)
                slowest, peak = max(slowest, result.seconds), max(peak, result.peak)
                if result.wrong:
                    print(f"{number}: {result.target.file.name}: {' '.join(result.target.words)}: {result.wrong}")
    finally:
        shutil.rmtree(folder)
    listed = ", ".join(f"{code}: {count:,}" for code, count in sorted(codes.items()))
    print(f"{args.count:,} mutants, exit codes {listed}")
    print(f"slowest {slowest:.1f} s, most memory {peak >> 20:,} MiB; {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
