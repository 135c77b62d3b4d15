"""Reading a device file strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.lines import LineMap
from offramp.configs.registers import EnergyError, Field, Memory, Register


class Reader:
    """Collects what is wrong with a device file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Diagnostic] = []

    def stop(self) -> None:
        if self.problems:
            raise InputError(self.problems)

    def keys(self, data: LineMap, needed: set[str], optional: frozenset[str] = frozenset()) -> None:
        for key in data:
            if key not in needed | optional:
                allowed = ", ".join(sorted(needed | optional))
                self.problems.append(Diagnostic(data.at(key), f"unknown key `{key}`; allowed: {allowed}"))
        for key in sorted(needed - set(data)):
            self.problems.append(Diagnostic(data.where, f"missing key `{key}`"))

    def numbers(self, data: LineMap, needed: set[str], optional: frozenset[str] = frozenset()) -> dict[str, int]:
        self.keys(data, needed | {"source"}, optional)
        values = {key: value for key, value in data.items() if key != "source"}
        for key, value in values.items():
            if type(value) is not int or value < 0:
                self.problems.append(Diagnostic(data.at(key), f"`{key}` is {value!r}; a number >= 0 is expected"))
        return values

    def energy_error(self, data: LineMap) -> EnergyError:
        self.keys(data, set(EnergyError.__dataclass_fields__))
        self.stop()
        if data["part"] not in ("layers", "core") or data["use"] not in ("fit", "again", "test"):
            self.problems.append(Diagnostic(data.where, "`part` is layers or core, `use` is fit, again or test"))
        if type(data["permille"]) is not int:
            self.problems.append(Diagnostic(data.at("permille"), "`permille` is a whole number"))
        return EnergyError(**data)

    def memory(self, name: str, data: LineMap) -> Memory:
        units = frozenset({"processor_stride", "instance_stride"})
        extra = frozenset({"word_bytes", "word_stride", "express_stride", "start_multiple"})
        values = self.numbers(data, {"base", "quadrant_stride", "words"}, units | extra)
        return Memory(
            name=name,
            base=values["base"],
            quadrant_stride=values["quadrant_stride"],
            unit_stride=values.get("processor_stride", values.get("instance_stride", 0)),
            words=values["words"],
            word_bytes=values.get("word_bytes", 4),
            word_stride=values.get("word_stride", 4),
            source=str(data["source"]),
        )

    def register(self, name: str, block: str, data: LineMap, strides: Mapping[str, int], layers: int) -> Register:
        per_layer = "register_stride" in strides
        self.keys(data, {"number" if per_layer else "offset", "fields", "source"}, frozenset({"layers"}))
        offset = data.get("number", 0) * strides["register_stride"] if per_layer else data.get("offset", 0)
        fields = tuple(self.field(key, entry, data["fields"].at(key)) for key, entry in data["fields"].items())
        taken = 0
        for field in fields:
            if taken & field.encode(field.limit):
                self.problems.append(Diagnostic(data["fields"].at(field.name), f"{name}.{field.name} overlaps another"))
            taken |= field.encode(field.limit)
        count = data.get("layers", layers) if per_layer else 0
        return Register(name, block, offset, count, fields, str(data.get("source", "")))

    def field(self, name: str, data: Any, where: Where) -> Field:
        text = str(data["bits"]) if isinstance(data, dict) and set(data) == {"bits"} else ""
        high, _, low = text.partition(":")
        if not (high.isdigit() and (low or high).isdigit() and 0 <= int(low or high) <= int(high) <= 31):
            self.problems.append(Diagnostic(where, f'field `{name}`: {{bits: "high:low"}} within 31:0 is expected'))
            return Field(name, 0, 0)
        return Field(name, int(low or high), int(high) - int(low or high) + 1)
