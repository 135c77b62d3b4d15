"""Which device a command is for: as its spec, plan or corpus case says, or as its option `--device` says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from offramp.configs.device import DEFAULT, Device, device_names, load_device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.configs.records import read_json
from offramp.planner.image_plan import image_device
from offramp.planner.spec.reader import spec_device


def add_device(parser: argparse.ArgumentParser, what: str) -> None:
    """The option of commands whose subject may not say which device it is for; `what` it says."""
    names = ", ".join(device_names())
    parser.add_argument("--device", metavar="NAME", help=f"{what}: {names} (default {DEFAULT})")


def stated_device(name: str | None) -> Device:
    """The device of `--device`, or the default. InputError if there is none of this name."""
    return load_device(name or DEFAULT)


def device_of_spec(path: Path, stated: str | None = None) -> Device:
    """The device of a spec's `device`; of one without, `stated` or the default."""
    name, where = spec_device(path)
    return load_device(name or stated or DEFAULT, where)


def devices_of_specs(paths: Sequence[Path], stated: str | None = None) -> list[Device]:
    """Of each of the specs of an image."""
    return [device_of_spec(path, stated) for path in paths]


def says_its_device(paths: Sequence[Path]) -> bool:
    """Whether some spec of an image names its device."""
    return any(spec_device(path)[0] for path in paths)


def device_of_plan(path: Path) -> Device:
    return load_device(*image_device(path))


def device_of_case(folder: Path, stated: str | None = None) -> Device:
    """The device of a corpus case's meta.json; `stated`, or the default, if it has none or there is no such file.

    InputError if meta.json cannot be read, or says another device than `stated`.
    """
    path = folder / "meta.json"
    where = Where(str(path))
    meta = read_json(path, "the description of a case") if is_file(path) else {}
    named = meta.get("device") if isinstance(meta, dict) else None
    if named and stated and str(named).upper() != stated.upper():
        raise InputError(Diagnostic(where, f"is a case of a {named}, not of a {stated.upper()}"))
    return load_device(str(named or stated or DEFAULT), where)
