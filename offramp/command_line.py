"""The commands and their arguments. A command is imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from offramp.configs.errors import InputError, OfframpError
from offramp.configs.extras import install_command
from offramp.configs.files import recorded_reads
from offramp.host.output import shortened, shown
from offramp.host.stopping import uninterrupted

EPILOG = """\
examples:
  offramp build examples/mnist/spec.yaml -o build/mnist
  offramp run build/mnist --images 50
  offramp check network.yaml --checkpoint network.pth.tar --input 3x32x32

exit codes: 0 done, 1 a check failed, 2 the input is wrong or an output cannot be written, 3 proved infeasible,
            70 internal error, 130 interrupted, 143 terminated
`offramp COMMAND --help` has more examples.
"""


@dataclass(frozen=True)
class Command:
    """A subcommand: `module` has add_arguments(parser) and run(args) -> exit code, and is imported only when needed."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("build", "offramp.commands.build", "plan, generate, compile and verify the firmware of a spec"),
    Command("plan", "offramp.commands.plan", "stages, thresholds and memory of a spec, without firmware"),
    Command("train", "offramp.commands.train", "train fronts and heads for a network that has no exits"),
    Command("compare", "offramp.commands.compare", "memory layouts side by side, as a table and as a page"),
    Command("cost", "offramp.commands.cost", "cycles, time and energy of a network or a spec, layer by layer"),
    Command("run", "offramp.commands.run", "run a build's firmware on the virtual board"),
    Command("data", "offramp.commands.data", "training, calibration and test sets from what there is"),
    Command("probe", "offramp.commands.probe", "find the layer that fails, on a board or on the virtual one"),
    Command("devices", "offramp.commands.devices", "the devices that there are, and what sets them apart"),
    Command("registers", "offramp.commands.registers", "the accelerator's registers, for debuggers and as a C header"),
    Command("check", "offramp.commands.check", "show an ai8x network's layers, or everything that is wrong with it"),
    Command("silicon", "offramp.commands.silicon", "ask a chip what is not known of it, and read its log"),
    Command("replay", "offramp.corpus.replay", "run the vendor tool's register programs on the accelerator model"),
    Command("synth", "offramp.corpus.synth", "run our own placement and registers for the same networks"),
    Command(
        "diff", "offramp.corpus.diff", "our registers for the same networks against the vendor tool's, field by field"
    ),
)


def run_command(words: Sequence[str]) -> int:
    """Run a command and return its exit code. SystemExit from arguments that are wrong, and from --help."""
    command = next((command for command in COMMANDS if words and command.name == words[0]), None)
    if command is None:
        _front().parse_args(words or ["--help"])
        return 2
    with uninterrupted():  # an interrupt would look like a missing library to numpy
        module = importlib.import_module(command.module)
    parser = _Parser(
        f"offramp {command.name}",
        description=command.summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    options = parser.parse_args(words[1:])
    try:
        with recorded_reads():
            return int(module.run(options))
    except OfframpError as error:
        importlib.import_module("offramp.host.console").print_problems(error.problems, options)
        raise


class _Parser(argparse.ArgumentParser):
    """Errors about arguments are printed as text, whatever characters the arguments contain."""

    def error(self, message: str) -> NoReturn:
        super().error(shortened(shown(message)))


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes as long as the rest of a help text."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"offramp {version('offramp')}")
        parser.exit()


class _Completion(argparse.Action):
    """Prints the script of a shell. Every command is imported for it, as its options have to be known."""

    def __call__(self, parser: argparse.ArgumentParser, _: argparse.Namespace, shell: Any, *__: object) -> None:
        try:
            import shtab
        except ModuleNotFoundError as error:
            raise InputError(f"--completion needs shtab; {install_command('completion')}") from error
        full = _Parser("offramp")
        _add_options(full)
        commands = full.add_subparsers()
        for command in COMMANDS:
            options = commands.add_parser(command.name, help=command.summary)
            importlib.import_module(command.module).add_arguments(options)
            for path in (action for action in options._actions if action.type is Path):
                path.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(full, shell=shell))
        parser.exit()


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    shells = ("bash", "zsh", "tcsh")
    text = "print a script that completes commands, options and files in this shell (extra `completion`)"
    parser.add_argument("--completion", action=_Completion, choices=shells, help=text)


def _front() -> argparse.ArgumentParser:
    parser = _Parser(
        "offramp",
        description="Early-exit firmware for the MAX78000 and MAX78002: planned, placed, generated and verified.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        commands.add_parser(command.name, help=command.summary, add_help=False)
    return parser
