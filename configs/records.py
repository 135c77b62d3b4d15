"""JSON files as frozen dataclasses: written from them, and read back strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, override, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from offramp.configs.bounds import JSON_FILE
from offramp.configs.errors import Damaged, Diagnostic, Where
from offramp.configs.files import read_bytes

T = TypeVar("T")
LARGEST = 1 << 53  # number of a file; whole ones beyond are no longer exact as fractions
SHOWN = 3  # problems of a damaged file that a message lists


def _as_it_stands(kind: type) -> Any:
    """Numbers and text are never converted from another type; a whole number may stand for a fraction."""

    def read(value: object, _: type) -> object:
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise TypeError(f"no {kind.__name__}")
        if isinstance(value, int | float) and not abs(value) <= LARGEST:
            raise ValueError("out of range")
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
    return json_text(form.unstructure(record))


def json_text(content: Any) -> str:
    """The same content gives the same text. ValueError for infinities and NaN, which JSON does not have."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_record(path: Path, kind: type[T], what: str, version: int, form: Converter) -> T:
    """A JSON file as a record of type `kind`, which has a field `format`.

    `what`: a name for such a file, for messages. Damaged with the key and the reason if it is none of `version`, or
    damaged.
    """
    where = Where(str(path))
    content = read_json(path, what)
    if not isinstance(content, dict) or content.get("format") != version:
        raise Damaged(Diagnostic(where, f"is not {what} of format {version}"))
    try:
        return form.structure(content, kind)
    except (ClassValidationError, ForbiddenExtraKeysError) as error:
        found = transform_error(error, path="it")
        reasons = "; ".join(found[:SHOWN]) + (f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        raise Damaged(Diagnostic(where, f"is not {what}: it is damaged ({reasons})")) from error


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file that should be `what`. Damaged if it is no JSON; InputError if it cannot be read."""
    data = read_bytes(path, JSON_FILE)
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Damaged(Diagnostic(Where(str(path)), f"is not {what}: it is damaged ({error})")) from error


def _no_number(text: str) -> float:
    """JSON has neither infinities nor NaN, but Python's reader accepts them."""
    raise ValueError(f"{text} is no number")
