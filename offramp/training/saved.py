"""What a search keeps between its rungs, so that it can be stopped and goes on to the same bytes.

A folder holds `search.json`, which says what the search was for, and an `.npz` for each contest with the parameters of
its networks and, as JSON, their standings. Nothing in it is executed.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.arrays import ArrayFile
from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import is_file, read_bytes
from offramp.configs.records import json_text, read_json
from offramp.host.files import write_bytes, write_text
from offramp.training.halving import Ranking, Standing
from offramp.training.objective import Worth
from offramp.training.task import Arrays, FitState

FORMAT = 1
FOLDER = ".state"
_ABOUT = "search.json"
_META = "standings"
_PARTS = ("parameters", "average", "first", "second")

Result = Ranking[FitState, Worth]


@dataclass(frozen=True)
class Store:
    """The folder of one search."""

    folder: Path

    def load(self, contest: str) -> Result | None:
        """What is known of a contest; None before its first rung. Damaged if the file is not what we wrote."""
        path = max(self._files(contest), default=None, key=lambda one: int(one.stem.rpartition("-")[2]))
        return _read(path) if path else None

    def save(self, contest: str, found: Result) -> None:
        """Keep what is known after a rung, instead of what was known before it."""
        before = self._files(contest)
        write_bytes(self.folder / f"{contest}-{found.rungs_done}.npz", _bytes(found))
        for path in before:
            path.unlink(missing_ok=True)

    def _files(self, contest: str) -> list[Path]:
        return [one for one in self.folder.glob(f"{contest}-*.npz") if one.stem.rpartition("-")[2].isdecimal()]


def open_store(output: Path, identity: str) -> Store:
    """The store in an output folder, where nothing is written yet. InputError if the folder is another search's that
    has done a rung, or holds what is no search's."""
    store = Store(output / FOLDER)
    about = store.folder / _ABOUT
    if not output.exists() or (output.is_dir() and _is_unused(output, about)):
        return store
    if not is_file(about):
        found = "exists, and no training has begun there: give a new folder, or remove it"
        raise InputError(Diagnostic(Where(str(output)), found))
    known = read_json(about, "the state of a search")
    if not isinstance(known, dict) or known.get("format") != FORMAT or known.get("search") != identity:
        found = "is the folder of another training (another spec, other files or another version)"
        raise InputError(Diagnostic(Where(str(output)), f"{found}: give a new one, or remove it"))
    return store


def begin(store: Store, identity: str) -> None:
    """Make the folder this search's; before this nothing is written there."""
    about, text = store.folder / _ABOUT, json_text({"format": FORMAT, "search": identity})
    if not is_file(about) or about.read_text(encoding="utf-8") != text:
        write_text(about, text)


def _is_unused(output: Path, about: Path) -> bool:
    """Whether a folder is empty, or holds nothing but the beginning of a search without a rung, which is no loss."""
    return all(one in (about.parent, about) for one in output.rglob("*"))


def identity_of(parts: list[str], paths: list[Path]) -> str:
    """Stands for everything that a search's result depends on."""
    digest = blake2b(digest_size=16)
    for part in [*parts, *(blake2b(read_bytes(path, DATA_FILE)).hexdigest() for path in paths)]:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _bytes(found: Result) -> bytes:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    standings = []
    for number, one in enumerate(found.standings):
        standings.append(
            {
                "name": one.name,
                "rung": one.rung,
                "steps": one.steps,
                "total": one.total,
                "found": asdict(one.found) if one.found else None,
                "arrays": len(one.state.parameters) if one.state else None,
                "step": one.state.step if one.state else None,
            }
        )
        for part in _PARTS if one.state else ():
            arrays |= {f"{number}-{part}-{at}": values for at, values in enumerate(getattr(one.state, part))}
    text = json.dumps({"rungs_done": found.rungs_done, "standings": standings}, allow_nan=False)
    buffer = io.BytesIO()
    np.savez(buffer, **{_META: np.frombuffer(text.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _read(path: Path) -> Result:
    try:
        file = ArrayFile(path, DATA_FILE)
        meta = json.loads(file.load(_META).tobytes())
        standings = [_standing(file, number, one) for number, one in enumerate(meta["standings"])]
        return Ranking(int(meta["rungs_done"]), tuple(standings))
    except (KeyError, ValueError, TypeError) as error:
        raise Damaged(Diagnostic(Where(str(path)), f"is not the state of a search: it is damaged ({error})")) from error


def _standing(file: ArrayFile, number: int, kept: dict[str, object]) -> Standing[FitState, Worth]:
    state = None
    if kept["arrays"] is not None:
        loaded: list[Arrays] = [
            tuple(file.load(f"{number}-{part}-{at}") for at in range(int(str(kept["arrays"])))) for part in _PARTS
        ]
        state = FitState(int(str(kept["step"])), *loaded)
    found = kept["found"]
    if found is not None and (not isinstance(found, dict) or set(found) != {one.name for one in fields(Worth)}):
        raise ValueError("a worth has other fields")
    worth = Worth(**found) if isinstance(found, dict) else None
    numbers = [int(str(kept[key])) for key in ("rung", "steps", "total")]
    return Standing(str(kept["name"]), numbers[0], numbers[1], numbers[2], worth, state)
