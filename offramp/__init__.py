"""Early-exit firmware for the MAX78000 and MAX78002: plan, build, run and compare (docs/API.md)."""

from importlib import import_module

import offramp.simulator  # noqa: F401  first of all: it sets how many threads numpy's BLAS starts


def __getattr__(name: str) -> object:
    """Public names come from `offramp.api` when they are first used: the command line starts without it."""
    api = import_module("offramp.api") if not name.startswith("_") else None
    if api is None or name not in api.__all__:
        raise AttributeError(f"module 'offramp' has no attribute {name!r}")
    return getattr(api, name)


def __dir__() -> list[str]:
    """The public names too, for completion in an interpreter."""
    return sorted({*globals(), *import_module("offramp.api").__all__})
