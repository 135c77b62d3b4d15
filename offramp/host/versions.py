"""What decides the bytes of a result beside its input, to compare both ends of a connection."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "ortools", "networkx", "dask", "distributed")

Versions = Mapping[str, str]  # name -> version


@cache
def versions(packages: tuple[str, ...] = ()) -> Versions:
    """Of Offramp, Python, PACKAGES and `packages`, as installed here; nothing of them is loaded."""
    found = {"offramp": f"{_version('offramp')} (code {_code()})", "python": platform.python_version()}
    return found | {name: _version(name) for name in (*PACKAGES, *packages)}


def differences(own: Versions, others: Mapping[str, Versions]) -> list[str]:
    """Words for each of `others` and each name of `own` that it has another version of."""
    return [
        f"{name} is {own[name]} here, {there.get(name, 'unknown')} on {where}"
        for where, there in sorted(others.items())
        for name in own
        if there.get(name) != own[name]
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _code() -> str:
    """The start of a digest of the program's own files, which change more often than its version."""
    digest, folder = sha256(), Path(__file__).parents[1]
    for path in sorted(_sources(folder)):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _sources(folder: Path) -> list[Path]:
    """Python and the device files; folders of other places are linked into the package."""
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_dir():
            found += _sources(path)
        elif path.suffix in (".py", ".yaml"):
            found.append(path)
    return found
