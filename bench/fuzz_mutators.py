"""Ways to damage files: specs and network YAMLs, JSON, arrays, checkpoints, and bytes of anything."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Random = np.random.Generator
Mutator = Callable[[bytes, Random], bytes]

# What YAML makes something else of than it seems, numbers at and past limits, text that commands, names that are long.
NASTY = (
    *("null", "true", "[]", "{}", "[[]]", "-1", "0", "1", "2.5", "65536", "4294967296", "1e308", "-1e308", "1e-320"),
    *(".inf", "-.inf", ".nan", "NaN", "Infinity", "9" * 40, "9" * 390, "0x" + "f" * 390, "9" * 5000, "1:30:00"),
    *(
        "2024-02-30",
        "~",
        "''",
        '"\\0"',
        '"\\e[31m"',
        '"[/]"',
        "'[bold]x'",
        "!!bool foo",
        "!!binary x",
        "*none",
        "&a [*a]",
    ),
    *(
        "!!python/object/apply:os.system [ls]",
        "x" * 300,
        "../../../etc/passwd",
        "/dev/zero",
        '"a\\nb"',
        '"\\u202e"',
        "é漢",
    ),
    *(
        "front",
        "main",
        "input",
        "first",
        "stop",
        "Conv2d",
        "Add",
        "{a: {a: {a: {}}}}",
        "3x3",
        "0x0",
        "1x1x1x1x1",
        "<b>",
    ),
)
JSON_NASTY: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2.5, 1e308, float("nan"), float("inf"), 10**40, 2**53, 2**31, "", "x" * 300),
    *("[/]", "\x1b[31m", "\ud800", [], {}, [[]], {"a": 1}, "front", "main", "--output-width", "0xffffffffffffffffff"),
)
HEADERS = (
    *(
        "{'descr': ',,,', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    ),
    *("{'descr': '<i8', 'fortran_order': True, 'shape': (9" + "9" * 300 + ",)}", "(" * 500, "{", "lambda: 0", "'" * 99),
    *("{'descr': '|i1', 'fortran_order': False, 'shape': (1000000000000,)}", "{'descr': '|i1', 'shape': (-1,)}"),
    *("{'descr': [('x', '<i4')], 'fortran_order': False, 'shape': (1,)}", "{'descr': '<U99999999', 'shape': ()}"),
)


def pick(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def mutate(mutators: tuple[Mutator, ...], content: bytes, rng: Random) -> bytes:
    """One to four mutations, one upon the other."""
    for _ in range(int(rng.integers(1, 5))):
        content = pick(rng, mutators)(content, rng)
    return content


def flip_bytes(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if changed else 0):
        changed[int(rng.integers(len(changed)))] = pick(rng, (0, 1, 127, 128, 255, int(rng.integers(256))))
    return bytes(changed)


def cut_bytes(content: bytes, rng: Random) -> bytes:
    """Shorter, longer, or with a part twice."""
    first, last = sorted(int(rng.integers(len(content) + 1)) for _ in range(2))
    return pick(rng, (content[:first], content[:first] + content[last:], content[:last] + content[first:], content * 2))


def change_text(content: bytes, rng: Random) -> bytes:
    """A value, a key, a line or two lines of YAML."""
    lines = content.decode("utf-8", "replace").split("\n")
    at, other = int(rng.integers(len(lines))), int(rng.integers(len(lines)))
    line, nasty = lines[at], pick(rng, NASTY)
    places = [position for position, character in enumerate(line) if character in ":,{}[] "]
    start = pick(rng, places) if places else 0
    ends = [position for position in places if position > start] or [len(line)]
    kind = int(rng.integers(7))
    if kind < 3:
        lines[at] = f"{line[: start + 1]} {nasty}{line[ends[0] :]}"
    elif kind == 3:
        lines[at] = line[:start] + line[ends[0] :]
    elif kind == 4:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 5:
        lines.insert(at, lines[other])
    else:
        del lines[at]
    return "\n".join(lines).encode("utf-8", "replace")


def change_json(content: bytes, rng: Random) -> bytes:
    """A value somewhere in it: another one, none, one level deeper, or a neighbour's."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return flip_bytes(content, rng)
    places = list(_places(data))
    if not places:
        return content
    (holder, key), (other, name) = pick(rng, places), pick(rng, places)
    kind = int(rng.integers(6))
    if kind < 2:
        holder[key] = pick(rng, JSON_NASTY)
    elif kind == 2:
        del holder[key]
    elif kind == 3:
        holder[key] = [holder[key]]
    elif kind == 4 and isinstance(holder[key], int | float) and abs(holder[key]) < 1 << 60:
        holder[key] += int(rng.choice([-1, 1, 64, -(1 << 20), 1 << 40]))
    else:
        holder[key] = json.loads(json.dumps(other[name]))
    return json.dumps(data).encode("utf-8")


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, key
        yield from _places(data[key])


def _entries(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # damaged already
        return {}


def change_entry(content: bytes, rng: Random) -> bytes:
    """Bytes of an entry of an archive, which is put together again: its checksums are right."""
    entries = _entries(content)
    if not entries:
        return flip_bytes(content, rng)
    name = pick(rng, list(entries))
    entries[name] = pick(rng, (flip_bytes, cut_bytes, flip_bytes))(entries[name], rng)
    if rng.integers(8) == 0:
        entries.pop(name)
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return _archive(entries, pick(rng, kinds))


def _archive(entries: dict[str, bytes], compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def change_array(content: bytes, rng: Random) -> bytes:
    """An array of an .npz: other values, type, shape, header; gone, or a bomb."""
    entries = _entries(content)
    if not entries:
        return change_header(content, rng)
    name = pick(rng, list(entries))
    kind = int(rng.integers(4))
    if kind == 0:
        entries[name] = change_header(entries[name], rng)
    elif kind == 1:
        entries.pop(name)
    elif kind == 2:
        entries[pick(rng, ("x.npy", "y.npy", "final.npy", name))] = _npy(np.zeros(int(rng.integers(1 << 22)), np.int8))
    else:
        entries[name] = _other_values(entries[name], rng)
    return _archive(entries, zipfile.ZIP_DEFLATED)


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _other_values(content: bytes, rng: Random) -> bytes:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:  # damaged already
        return content
    if array.dtype.names or array.dtype.kind == "U":
        return content
    dtype = pick(rng, ("|i1", "|u1", "<u4", "<i8", ">i2", "<f4", "<f8", "|b1", "<u8"))
    with np.errstate(all="ignore"):
        variants = (
            array.astype(dtype),
            array[..., None],
            array[:1] if array.ndim else array,
            array.reshape(-1),
            np.rint(array * float(rng.integers(-300, 300))),
            np.full_like(array, 127),
            rng.integers(0, 1 << 32, array.shape, np.uint32),
            np.zeros((0,) * max(array.ndim, 1), array.dtype),
        )
    return _npy(pick(rng, variants))


def change_header(content: bytes, rng: Random) -> bytes:
    """The header of an .npy."""
    header = pick(rng, HEADERS).encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content[128:]


BYTES: tuple[Mutator, ...] = (flip_bytes, cut_bytes)
BY_SUFFIX: dict[str, tuple[Mutator, ...]] = {
    ".yaml": (change_text, change_text, change_text, change_text, change_text, flip_bytes, cut_bytes),
    ".json": (change_json, change_json, change_json, change_json, change_json, *BYTES),
    ".npz": (change_array, change_array, change_array, change_entry, *BYTES),
    ".npy": (change_header, *BYTES),
    ".tar": (change_entry, change_entry, change_entry, *BYTES),
    **dict.fromkeys((".elf", "", ".gz", ".png", ".bmp", ".jpg", ".ppm"), BYTES),
}
