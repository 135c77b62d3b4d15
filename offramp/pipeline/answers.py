"""A chain's answers to inputs, from the integer reference or the firmware in the same form, and their files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.host.files import write_bytes
from offramp.planner.ir.chain import Chain
from offramp.planner.reference.confidence import to_real
from offramp.planner.reference.profile import Profile, exit_indices
from offramp.simulator.board.run import BoardRun

SUFFIXES = (".csv", ".npz")


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to N inputs.

    `answers`: int64 (N,); `classes`: int64 (N,), of the stage that answered, which mean them. `exit_index`: int64 (N,),
    that stage, as an index into `stages`. `confidence`:
    float64 (N,), in real units (logits, probability, nats); both 0 where the result is none of logits. `results`: int32
    (N, values), what the stage that answered gives, in integer units and in the order channel, row, column, with zeros
    up to the values of the largest result. `shapes`: of the result of each stage. `error`: int32 (N,), the firmware's
    error code, 0 where there is an answer.
    """

    stages: tuple[str, ...]
    answers: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    exit_index: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    results: npt.NDArray[np.int32]
    shapes: tuple[tuple[int, int, int], ...]
    error: npt.NDArray[np.int32]

    def result(self, number: int) -> npt.NDArray[np.int32]:
        """What the stage that answered an input gives: int32 (channels, rows, columns)."""
        shape = self.shapes[int(self.exit_index[number])]
        return self.results[number, : prod(shape)].reshape(shape)


def reference_answers(chain: Chain, profiled: Profile) -> Answers:
    """The answers of the integer reference; every exit must have a threshold."""
    index = exit_indices(chain, profiled)
    images = np.arange(len(index))
    return Answers(
        stages=tuple(stage.name for stage in chain.stages),
        answers=np.stack(profiled.answers)[index, images],
        classes=np.stack(profiled.classes)[index, images],
        exit_index=index,
        confidence=_real(chain, index, np.stack(profiled.confidence)[index, images]),
        results=_padded([profiled.results[stage][image] for image, stage in enumerate(index.tolist())]),
        shapes=_shapes(chain),
        error=np.zeros(len(index), np.int32),
    )


def board_answers(chain: Chain, run: BoardRun) -> Answers:
    """The answers of the firmware on the virtual board."""
    index = np.array(chain.stage_numbers)[run.stages]
    return Answers(
        stages=tuple(stage.name for stage in chain.stages),
        answers=run.answers,
        classes=run.classes,
        exit_index=index,
        confidence=_real(chain, index, run.confidences),
        results=_padded(run.values),
        shapes=_shapes(chain),
        error=np.array(run.statuses, np.int32),
    )


def _real(
    chain: Chain, index: npt.NDArray[np.int64], confidence: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float64]:
    rules = [stage.exit for stage in chain.exits]
    values = zip(index.tolist(), confidence.tolist(), strict=True)
    exits = [(rules[stage], value) for stage, value in values]
    return np.array([to_real(one.measure, value, one.fraction_bits) if one else 0.0 for one, value in exits])


def _padded(results: Sequence[npt.NDArray[np.int8 | np.int32]]) -> npt.NDArray[np.int32]:
    """Results of different length one below the other, with zeros behind them."""
    found = np.zeros((len(results), max(map(len, results), default=0)), np.int32)
    for row, values in zip(found, results, strict=True):
        row[: len(values)] = values
    return found


def _shapes(chain: Chain) -> tuple[tuple[int, int, int], ...]:
    shapes = [chain.producers[stage.result].layer.out_shape for stage in chain.stages]
    return tuple((shape.channels, shape.rows, shape.cols) for shape in shapes)


def checked_input(x: npt.NDArray[Any], chain: Chain, where: Where | None = None) -> npt.NDArray[np.int8]:
    """Inputs of a chain as int8 (N, channels, rows, cols); one without N will do. InputError if they do not fit."""
    shape = chain.networks[chain.first_reader.network].input_shape
    wanted = (shape.channels, shape.rows, shape.cols)
    if x.dtype.kind not in "iu" or x.shape[-3:] != wanted or x.ndim not in (3, 4):
        size = ", ".join(map(str, wanted))
        message = f"holds {x.dtype} {x.shape}; integers ({size}) or (N, {size}) are expected"
        raise InputError(Diagnostic(where, message))
    if not x.size:
        raise InputError(Diagnostic(where, "is empty; at least one input is expected"))
    if x.min() < -128 or x.max() > 127:
        found = f"holds values from {x.min()} to {x.max()}; -128..127 are allowed"
        hint = " (pixels 0..255 go in as pixel - 128)" if x.min() >= 0 else ""
        raise InputError(Diagnostic(where, found + hint))
    return x.reshape(-1, *wanted).astype(np.int8)


def check_name(path: Path) -> None:
    """InputError if answers cannot be written in the format that a file's name asks for."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"--output {path}: a name that ends in {' or '.join(SUFFIXES)} is expected")


def write_answers(path: Path, answers: Answers) -> None:
    """Write a .csv with a row per input, or an .npz with the arrays of `Answers`."""
    content = _csv(answers).encode() if path.suffix == ".csv" else _npz(answers)
    write_bytes(path, content)


def _csv(answers: Answers) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    names = [f"value_{number}" for number in range(answers.results.shape[1])]
    rows.writerow(["input", "answer", "class", "stage", "confidence", "error", *names])
    for number, values in enumerate(answers.results.tolist()):
        stage = answers.stages[int(answers.exit_index[number])]
        confidence, error = float(answers.confidence[number]), int(answers.error[number])
        found = (int(answers.answers[number]), int(answers.classes[number]))
        rows.writerow([number, *found, stage, confidence, error, *values])
    return text.getvalue()


def _npz(answers: Answers) -> bytes:
    file = io.BytesIO()
    np.savez(
        file,
        stages=np.array(answers.stages),
        answers=answers.answers,
        classes=answers.classes,
        exit_index=answers.exit_index,
        confidence=answers.confidence,
        results=answers.results,
        shapes=np.array(answers.shapes),
        error=answers.error,
    )
    return file.getvalue()


def answers_content(answers: Answers, mismatches: int) -> dict[str, Any]:
    """The answers for JSON; `mismatches`: how many differ from the integer reference."""
    entries = [
        {
            "answer": int(answers.answers[number]),
            "class": int(answers.classes[number]),
            "stage": answers.stages[int(answers.exit_index[number])],
            "confidence": float(answers.confidence[number]),
            "error": int(answers.error[number]),
            "result": answers.result(number).tolist(),
        }
        for number in range(len(answers.classes))
    ]
    return {"format": 1, "stages": list(answers.stages), "mismatches": mismatches, "answers": entries}
