"""JSON that was written by us, and changed by somebody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from offramp.configs.errors import Damaged
from offramp.configs.records import converter, read_record


@dataclass(frozen=True)
class Record:
    format: int
    name: str
    values: tuple[float, ...]


GOOD = {"format": 1, "name": "x", "values": [1, 2.5]}


def read(folder: Path, text: str) -> Record:
    (folder / "record.json").write_text(text)
    return read_record(folder / "record.json", Record, "a record", 1, converter())


def test_a_record(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(GOOD)) == Record(1, "x", (1, 2.5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        '"\ud800'.encode("utf-8", "surrogatepass").decode("latin-1"),
        json.dumps({**GOOD, "format": 2}),
        json.dumps({**GOOD, "name": 3}),
        json.dumps({**GOOD, "more": 3}),
        json.dumps({**GOOD, "values": [float("nan")]}),
        json.dumps({**GOOD, "values": [float("inf")]}),
        '{"format": 1, "name": "x", "values": [1e400]}',
        '{"format": 1, "name": "x", "values": [' + "9" * 5000 + "]}",
        json.dumps({**GOOD, "values": [10**40]}),
        json.dumps({**GOOD, "values": [True]}),
    ],
)
def test_a_damaged_record(tmp_path: Path, text: str) -> None:
    with pytest.raises(Damaged, match=r"record\.json: is not a record"):
        read(tmp_path, text)
