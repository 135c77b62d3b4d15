"""What a plan is worth in a few statements, each a figure and a sentence: what a page says first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from offramp.pipeline.report import AccuracyReport, Report, Verified
from offramp.planner.exits.guarantee import in_points


@dataclass(frozen=True)
class Statement:
    """`figure`: read at a glance. `sentence`: what it is, of what, and how far it can be trusted."""

    figure: str
    sentence: str


def headline(report: Report, main: str, clock_hz: int) -> tuple[Statement, ...]:
    """Cost against the main network alone, accuracy against it, the guarantee, who leaves where, what was verified, and
    how far figures can be trusted.

    `main`: the name of the network that the chain replaces. `clock_hz`: of the accelerator.
    """
    statements = [_cycles(report, main, clock_hz), _energy(report, main)]
    if report.accuracy and report.accuracy.against:
        statements.append(_accuracy(report.accuracy, main))
        statements.append(_guarantee(report))
    statements += [_leaving(report), verified_statement(report.verified), trust_statement([report])]
    return tuple(statement for statement in statements if statement)


def _cycles(report: Report, main: str, clock_hz: int) -> Statement | None:
    cycles = report.cycles
    if cycles.mean is None or cycles.ratio is None:
        return None
    tag = "" if cycles.tag == "simulated" else f" ({cycles.tag})"

    def timed(count: float) -> str:
        return f"{count:,.0f} ({count * 1e3 / clock_hz:.2f} ms)"

    what = f"cycles of an inference: {timed(cycles.mean)} in the mean, {timed(cycles.worst)} at worst"
    return Statement(times(cycles.ratio, "fewer"), f"{what}; {main} alone takes {timed(cycles.full)}{tag}")


def _energy(report: Report, main: str) -> Statement | None:
    energy = report.energy
    if energy.mean_uj is None or energy.ratio is None:
        return None
    what = f"energy of an inference above idle: {energy.mean_uj:.2f} uJ in the mean"
    return Statement(times(energy.ratio, "less"), f"{what}; {main} alone takes {energy.full_uj:.2f} uJ ({energy.tag})")


def times(ratio: float | None, word: Literal["fewer", "less"]) -> str:
    """A saving by its factor, full / mean: `8.71 times fewer`."""
    if not ratio:
        return "-"
    return f"{ratio:.2f} times {word}" if ratio >= 1 else f"{1 / ratio:.2f} times more"


def _accuracy(accuracy: AccuracyReport, main: str) -> Statement | None:
    if accuracy.staged is None or accuracy.full is None:
        return None
    if accuracy.against == "main":
        what = f"of {accuracy.images:,} test images without labels have the answer of {main} alone"
        return Statement(f"{accuracy.staged:.2%}", what)
    points = 100 * (accuracy.staged - accuracy.full)
    what = f"accuracy on {accuracy.images:,} test images: {accuracy.staged:.2%}"
    return Statement(f"{points:+.2f} points", f"{what}; {main} alone has {accuracy.full:.2%}")


def _guarantee(report: Report) -> Statement:
    """What is guaranteed on new data."""
    risk = (report.calibration and report.calibration.risk) or (report.choice and report.choice.risk)
    if not risk:
        return Statement("no guarantee", "of the accuracy on new data: the spec asks for none (`risk`)")
    promise = f"that accuracy falls by at most {in_points(risk.accuracy_drop)} on new data"
    return Statement(f"{1 - risk.delta:.0%} guarantee", f"{promise}; tested on {risk.images:,} images")


def _leaving(report: Report) -> Statement | None:
    """Who leaves where."""
    shares = [(stage.name, stage.share) for stage in report.stages if stage.share is not None]
    if len(shares) < 2:
        return None
    listed = ", ".join(f"{share:.1%} at {name}" for name, share in shares)
    return Statement(f"{1 - shares[-1][1]:.1%} leave early", f"of the test images: {listed}")


def trust_statement(reports: Sequence[Report]) -> Statement:
    """What the figures are: none is measured."""
    runs = sorted({stage.cycles_tag for report in reports for stage in report.stages})
    whole = sorted({report.cycles.tag for report in reports})
    energy = sorted({report.energy.tag for report in reports})
    parts = [f"cycles of the accelerator are {' or '.join(runs)}", f"those of a whole inference {' or '.join(whole)}"]
    return Statement("no board", f"{', '.join(parts)}, energy {' or '.join(energy)}; nothing was measured")


def verified_statement(verified: Verified | None) -> Statement:
    """Whether the firmware's answers are right."""
    if verified is None:
        return Statement(
            "not verified",
            "the firmware was not run on the virtual board; `offramp build` does that where the spec names test data",
        )
    if verified.mismatches:
        return Statement("WRONG", f"{verified.mismatches} of {verified.answers} answers differ from the reference")
    return Statement(
        f"{verified.answers:,} verified", "answers of the firmware equal the integer reference, bit for bit"
    )
