"""What the probe's firmware prints, read strictly: every line carries a checksum of all lines up to it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from offramp.codegen.probe import LOG_VERSION
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where

FIRST, LAST = "offramp probe ", "end"  # how the first and the last line begin
_LINE = re.compile(r"(.*) #([0-9a-f]{8})")
_IMAGE = re.compile(r"image ([0-9a-f]{32}) layers (\d+) inputs (\d+)")
_INPUT = re.compile(r"input (\d+) model (\d+) crc ([0-9a-f]{8})")
_LAYER = re.compile(
    r"layer (\d+) input (\d+) model (\d+) stage (\d+) layer (\d+)(?: crc ([0-9a-f]{8})| error (.+)| (not visible))"
)
_EXIT = re.compile(r"exit (\d+) input (\d+) model (\d+) stage (\d+)(?: matches (\d+) crc ([0-9a-f]{8})| error (.+))")
_VALUES = re.compile(r"values (\d+) input (\d+) from (\d+) ([0-9a-f]+)")
_ERROR = re.compile(r"error (.+)")


@dataclass(frozen=True)
class LayerLine:
    """What became of a layer of the list (`number`), one of a model's, with an input: a checksum, an error, or neither:
    it is not visible."""

    number: int
    input: int
    model: int
    crc: int | None
    error: str | None


@dataclass(frozen=True)
class ExitLine:
    """What a hardware exit of the list (`number`) did with an input: matches that it counted, and the checksum of what
    was then in the place of the next layer's result; or an error."""

    number: int
    input: int
    matches: int
    crc: int | None
    error: str | None


@dataclass(frozen=True)
class ProbeLog:
    """A whole log. digest: of the image, hexadecimal. inputs: their models and checksums. error: the image could not be
    opened.

    values: by layer and input, the bytes of a result in the order channel, row, column; of 32-bit values the most
    significant byte first."""

    source: str
    digest: str
    layers: int
    inputs: tuple[tuple[int, int], ...]
    lines: tuple[LayerLine, ...]
    exits: tuple[ExitLine, ...]
    values: dict[tuple[int, int], bytes]
    error: str | None

    def model_of(self, number: int) -> int | None:
        """The model of a layer of the list; None if there is none of that number."""
        return next((line.model for line in self.lines if line.number == number), None)

    def tensor(self, number: int, image: int, bits: int) -> npt.NDArray[np.int64] | None:
        """The values that were printed for a layer and an input, one after the other; None if there are none."""
        data = self.values.get((number, image))
        return None if data is None else np.frombuffer(data, f">i{bits // 8}").astype(np.int64)


@dataclass
class _Parts:
    """What has been read so far."""

    digest: str = ""
    layers: int = 0
    count: int = 0
    inputs: list[tuple[int, int]] = field(default_factory=list)
    lines: list[LayerLine] = field(default_factory=list)
    exits: list[ExitLine] = field(default_factory=list)
    values: dict[tuple[int, int], bytearray] = field(default_factory=dict)
    error: str | None = None


def read_log(text: str, source: str) -> ProbeLog:
    """The last log in what a console printed; what is before and behind it does not matter. `source`: for messages.

    InputError if there is none or it is of another version; Damaged, with the line, if it is not as it was printed.
    """
    rows = [row.rstrip("\r") for row in text.split("\n")]
    starts = [index for index, row in enumerate(rows) if row.startswith(FIRST)]
    if not starts:
        message = f"holds no line `{FIRST}{LOG_VERSION}`; what the probe's firmware prints is expected"
        raise InputError(Diagnostic(Where(source), message))
    first = starts[-1]
    parts = _Parts()
    for line, said in _checked(rows, first, source):
        if line == first + 1:
            _check_version(said, Where(source, line))
        elif said == LAST:
            _check_whole(parts, Where(source, line))
            values = {key: bytes(data) for key, data in parts.values.items()}
            inputs, lines, exits = tuple(parts.inputs), tuple(parts.lines), tuple(parts.exits)
            return ProbeLog(source, parts.digest, parts.layers, inputs, lines, exits, values, parts.error)
        elif not _take(said, parts):
            raise Damaged(Diagnostic(Where(source, line), f"is no line of a probe here: `{said[:60]}`"))
    message = f"the log ends here, without its line `{LAST}`"
    raise Damaged(Diagnostic(Where(source, len("\n".join(rows).rstrip("\n").split("\n"))), message))


def _checked(rows: list[str], first: int, source: str) -> list[tuple[int, str]]:
    """The lines of the log from row `first` to its end, numbered from 1, without their checksums."""
    found = []
    crc = 0
    for index in range(first, len(rows)):
        if not any(rows[index:]):
            break
        match = _LINE.fullmatch(rows[index])
        said, printed = match.groups() if match else (rows[index], "")
        crc = zlib.crc32(f"{said}\n".encode("utf-8", "surrogateescape"), crc)
        if printed != f"{crc:08x}":
            reason = (
                f"its checksum is {printed}, that of the lines up to it {crc:08x}" if match else "it has no checksum"
            )
            message = f"is damaged, or lines before it are missing: {reason}"
            raise Damaged(Diagnostic(Where(source, index + 1), message))
        found.append((index + 1, said))
        if said == LAST:
            break
    return found


def _check_version(said: str, where: Where) -> None:
    if said != f"{FIRST}{LOG_VERSION}":
        message = f"is `{said[:60]}`; this version of Offramp reads `{FIRST}{LOG_VERSION}`"
        raise InputError(Diagnostic(where, message))


def _check_whole(parts: _Parts, where: Where) -> None:
    """Every layer was run with every input of its model, unless the image could not be opened."""
    models = {line.number: line.model for line in parts.lines}
    wanted = [
        (layer, image)
        for layer in range(parts.layers)
        for image, (model, _) in enumerate(parts.inputs)
        if model == models.get(layer, model)
    ]
    found = [(line.number, line.input) for line in parts.lines]
    if len(parts.inputs) != parts.count or (parts.error is None and found != wanted):
        message = f"the log has {len(found)} layers and inputs; {len(wanted)} are expected"
        raise Damaged(Diagnostic(where, message))


def _take(said: str, parts: _Parts) -> bool:
    """Add what a line says; False if it says nothing that can follow."""
    if image := _IMAGE.fullmatch(said):
        parts.digest, parts.layers, parts.count = image[1], int(image[2]), int(image[3])
    elif sample := _INPUT.fullmatch(said):
        parts.inputs.append((int(sample[2]), int(sample[3], 16)))
    elif layer := _LAYER.fullmatch(said):
        crc = int(layer[6], 16) if layer[6] else None
        parts.lines.append(LayerLine(int(layer[1]), int(layer[2]), int(layer[3]), crc, layer[7]))
    elif asked := _EXIT.fullmatch(said):
        crc = int(asked[6], 16) if asked[6] else None
        parts.exits.append(ExitLine(int(asked[1]), int(asked[2]), int(asked[5] or 0), crc, asked[7]))
    elif values := _VALUES.fullmatch(said):
        return len(values[4]) % 2 == 0 and _take_values(values, parts)
    elif error := _ERROR.fullmatch(said):
        parts.error = error[1]
    else:
        return False
    return True


def _take_values(values: re.Match[str], parts: _Parts) -> bool:
    """A line of values follows on its predecessor of the same result; the first one tells nothing of their width."""
    key = int(values[1]), int(values[2])
    data = parts.values.setdefault(key, bytearray())
    if (int(values[3]) == 0) != (not data):
        return False
    data += bytes.fromhex(values[4])
    return True
