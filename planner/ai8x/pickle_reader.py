"""Pickles as plain data: a reader that has no way to run anything.

Python's own unpickler calls whatever a file names. This one interprets the opcodes itself (the standard library only
splits the stream into them) and never imports, looks up or calls: a global is a `Named`, a call is a `Made` that says
what would have been called with what, and attributes set on an object are thrown away.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_OPCODES = 2_000_000  # real checkpoints have some thousands

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A global that a pickle names, "module.name". Never looked up."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An object that a pickle would have made by calling `what`. `items`: what it then stores under keys."""

    what: Any
    arguments: tuple[Any, ...]
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """A reference to something outside the pickle (in checkpoints: a storage)."""

    reference: Any


class PickleError(Exception):
    """The stream is not a well-formed pickle."""


def read_pickle(stream: BinaryIO) -> Any:
    """Read one pickle from a stream, leaving it behind the pickle. PickleError if it is malformed or too long."""
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > MAX_OPCODES:
                raise PickleError(f"more than {MAX_OPCODES} opcodes")
            machine.step(opcode.name, argument)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise PickleError(f"malformed pickle: {error}") from error
    return machine.result()


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise PickleError("malformed pickle: it does not end with one value")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            raise PickleError(f"opcode {name} does not belong in a checkpoint")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        """Values since the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def top(self, count: int) -> list[Any]:
        items = [self.stack.pop() for _ in range(count)]
        return items[::-1]

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("malformed pickle: a global without a name")
        self.stack.append(Named(f"{module}.{name}"))

    def make(self, what: Any, arguments: Any) -> None:
        """`arguments`: a tuple, which is shared: copies for many objects could take any amount of memory."""
        self.stack.append(Made(what, arguments if isinstance(arguments, tuple) else ()))

    def store(self, pairs: list[Any]) -> None:
        """Put keys and values into the mapping on the stack; keys of an unusual type are left out."""
        target = self.stack[-1]
        target = target.items if isinstance(target, Made) else target
        if not isinstance(target, dict) or len(pairs) % 2:
            raise PickleError("malformed pickle: items for what is not a mapping")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if isinstance(key, str | int | float | bytes | None):
                target[key] = value

    def extend(self, values: list[Any]) -> None:
        """Append to the list on the stack. What an object collects is not needed."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Made):
            raise PickleError("malformed pickle: values for what is not a list")


def _dictionary(machine: _Machine, _: Any) -> None:
    pairs = machine.to_mark()
    machine.push({})
    machine.store(pairs)


def _instance(machine: _Machine, argument: str) -> None:
    items = machine.to_mark()
    machine.make(Named(argument.replace(" ", ".")), tuple(items))


def _object(machine: _Machine, _: Any) -> None:
    items = machine.to_mark()
    machine.make(items[0], tuple(items[1:]))


def _new_with_keywords(machine: _Machine, _: Any) -> None:
    what, arguments, _keywords = machine.top(3)
    machine.make(what, arguments)


_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.to_mark(),
    "POP_MARK": lambda machine, _: machine.to_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "LIST": lambda machine, _: machine.push(machine.to_mark()),
    "FROZENSET": lambda machine, _: machine.push(machine.to_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.top(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.top(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.top(3))),
    "DICT": _dictionary,
    "APPEND": lambda machine, _: machine.extend(machine.top(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.to_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.store(machine.top(2)),
    "SETITEMS": lambda machine, _: machine.store(machine.to_mark()),
    "GET": lambda machine, index: machine.push(machine.memo[index]),
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "PUT": lambda machine, index: machine.memo.update({index: machine.stack[-1]}),
    "BINPUT": lambda machine, index: machine.memo.update({index: machine.stack[-1]}),
    "LONG_BINPUT": lambda machine, index: machine.memo.update({index: machine.stack[-1]}),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    "GLOBAL": lambda machine, argument: machine.push(Named(argument.replace(" ", "."))),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.top(2)),
    "REDUCE": lambda machine, _: machine.make(*machine.top(2)),
    "NEWOBJ": lambda machine, _: machine.make(*machine.top(2)),
    "NEWOBJ_EX": _new_with_keywords,
    "INST": _instance,
    "OBJ": _object,
    "BUILD": lambda machine, _: machine.top(1),
    "PERSID": lambda machine, argument: machine.push(Persistent(argument)),
    "BINPERSID": lambda machine, _: machine.push(Persistent(machine.stack.pop())),
}
