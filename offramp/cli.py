"""The start of the program: catches the errors of a command, reports them, and exits with the right code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from offramp.host.stopping import Stopped, ignore_signals, signals_stop

INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. SystemExit from arguments that are wrong, and from --help.

    Nothing but signals is imported before they are caught.
    """
    with signals_stop(to_the_end=arguments is None):
        words = list(sys.argv[1:] if arguments is None else arguments)
        try:
            try:
                return _run(words)
            except KeyboardInterrupt as stopped:
                ignore_signals()
                return _say_stopped(words, stopped)
        except KeyboardInterrupt as stopped:  # a second signal, before the first could be answered
            ignore_signals()
            return _say_stopped(words, stopped)


def _run(words: list[str]) -> int:
    """The exit code; whatever was raised has been reported."""
    from offramp.command_line import run_command
    from offramp.configs.errors import OfframpError
    from offramp.host.output import checked_output, tell

    try:
        with checked_output():
            return run_command(words)
    except OfframpError as error:
        for problem in error.problems:
            tell(f"{_name(words)}: {problem}")
        return error.exit_code
    except Exception as error:
        tell(f"{_name(words)}: {_internal_error(error)}")
        return INTERNAL_ERROR


def _name(words: list[str]) -> str:
    return f"offramp {words[0]}" if words else "offramp"


def _say_stopped(words: list[str], error: KeyboardInterrupt) -> int:
    from offramp.host.output import tell

    stopped = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
    tell(f"{_name(words)}: {stopped}")
    return stopped.exit_code


def _internal_error(error: Exception) -> str:
    """The message for an error of ours. The traceback is kept in a file."""
    import tempfile
    import traceback

    said = f"internal error: {type(error).__name__}: {error}".replace("\n", " ")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="offramp-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace").decode("utf-8"))
        return f"{said}; please report it with {file.name}"
    except OSError as failed:
        return f"{said}; no traceback could be kept: {failed.strerror}"


if __name__ == "__main__":
    sys.exit(main())
