"""A source that is named as `module:function`: the only place where a user's Python runs, because they named it.

`function` is one of the module, or the name of an entry of its `datasets`, as the vendor's data set files have them. If
it takes arguments it is called as ai8x-training calls its loaders, `function((folder, args), load_train=True,
load_test=True)`, with values as the accelerator gets them (`act_mode_8bit`); else without any.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from offramp.configs.errors import Diagnostic, InputError, OfframpError, Where
from offramp.data.objects import source_of
from offramp.data.source import Source

_NAMED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_LONGEST = 300  # characters of a message of somebody's


def names_function(name: str) -> bool:
    """Whether it has the form `module:function`."""
    return bool(_NAMED.fullmatch(name))


def read_function(name: str, folder: Path, layout: str | None) -> Source:
    """What the function returns: a `Source`, arrays (x, y) or data sets (train, test), of which either may be None.

    `folder`: where a loader of the vendor's form finds or puts its files. Modules are found in the working directory
    too. InputError for whatever goes wrong in it.
    """
    where = Where(name)
    module_name, attribute = name.split(":")
    with _users_code(where):
        sys.path.insert(0, str(Path.cwd()))
        try:
            module = _module(module_name, where)
            function, classes = _function(module, attribute, where)
            made = _called(function, folder)
            return _as_source(made, classes, name, layout, where)
        finally:
            sys.path.remove(str(Path.cwd()))


@contextlib.contextmanager
def _users_code(where: Where) -> Iterator[None]:
    """What it prints goes to standard error; what it raises, and where, becomes an InputError."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except OfframpError:
        raise
    except (Exception, SystemExit) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        raise InputError(Diagnostic(where, f"failed in {place}: {type(error).__name__}: {error}"[:_LONGEST])) from error


def _module(name: str, where: Where) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # one that it imports
        found = f"there is no module {error.name}, neither in {Path.cwd()} nor among those that are installed"
        raise InputError(Diagnostic(where, found)) from error


def _function(module: ModuleType, attribute: str, where: Where) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The function, and the names of classes if it is an entry of `datasets`."""
    entries = [one for one in getattr(module, "datasets", ()) if isinstance(one, dict) and one.get("name") == attribute]
    if entries and callable(entries[0].get("loader")):
        output = entries[0].get("output", ())
        return entries[0]["loader"], tuple(map(str, output)) if isinstance(output, tuple | list) else ()
    function = getattr(module, attribute, None)
    if not callable(function):
        message = f"module {module.__name__} has no function `{attribute}`, and no entry of that name in `datasets`"
        raise InputError(Diagnostic(where, message))
    return function, ()


def _called(function: Callable[..., Any], folder: Path) -> Any:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    if not any(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters):
        return function()
    args = SimpleNamespace(act_mode_8bit=True, truncate_testset=False, device="MAX78000")
    return function((str(folder), args), load_train=True, load_test=True)


def _as_source(made: Any, classes: tuple[str, ...], name: str, layout: str | None, where: Where) -> Source:
    if isinstance(made, Source):
        return made
    if not isinstance(made, tuple | list) or len(made) != 2:
        found = f"returned a {type(made).__name__}; (x, y), (train, test) or a Source is expected"
        raise InputError(Diagnostic(where, found))
    return source_of(made[0], made[1], classes, name, layout)
