"""JSON files as frozen dataclasses: written from them, and read back strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, override, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from offramp.configs.errors import Diagnostic, InputError, Where

T = TypeVar("T")
SHOWN = 3  # keys of a damaged file that are told


def _as_it_stands(kind: type) -> Any:
    """Numbers and text are never converted from another type; a whole number may stand for a fraction."""

    def read(value: object, _: type) -> object:
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return read


def converter(renamed: Mapping[type, Mapping[str, str]] | None = None) -> Converter:
    """A converter of frozen dataclasses to JSON's types and back. `renamed`: keys in the file, by type and field."""
    made = Converter(forbid_extra_keys=True)
    for plain in (bool, int, float, str):
        made.register_structure_hook(plain, _as_it_stands(plain))
    for kind, names in (renamed or {}).items():
        keys: dict[str, Any] = {field: override(rename=key) for field, key in names.items()}
        made.register_unstructure_hook(kind, make_dict_unstructure_fn(kind, made, **keys))
        structure: Any = make_dict_structure_fn(kind, made, _cattrs_forbid_extra_keys=True, **keys)
        made.register_structure_hook(kind, structure)
    return made


def to_json(record: Any, form: Converter) -> str:
    """The same record gives the same text."""
    return json.dumps(form.unstructure(record), indent=1) + "\n"


def read_record(path: Path, kind: type[T], what: str, version: int, form: Converter) -> T:
    """A JSON file as a record of type `kind`, which has a field `format`.

    `what` it should be, in messages. InputError with the key and the reason if it is none of `version`, or damaged.
    """
    where = Where(str(path))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(Diagnostic(where, f"is not {what}: {error}")) from error
    if not isinstance(content, dict) or content.get("format") != version:
        raise InputError(Diagnostic(where, f"is not {what} of format {version}"))
    try:
        return form.structure(content, kind)
    except (ClassValidationError, ForbiddenExtraKeysError) as error:
        found = transform_error(error, path="it")
        reasons = "; ".join(found[:SHOWN]) + (f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        raise InputError(Diagnostic(where, f"is not {what}: it is damaged ({reasons})")) from error
