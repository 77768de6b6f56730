"""The command line: one module a command, and what they share."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import traceback
from typing import NoReturn

import mnnlite
from mnnlite.cli.exit_codes import BAD_INPUT, FINE, INTERRUPTED, MEANINGS, OWN_FAULT, TERMINATED
from mnnlite.cli.output import Output, printable
from mnnlite.cli.signals import Interrupts
from mnnlite.errors import MnnliteError

__all__ = ["main", "program"]

ENDED = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}
COMMANDS = {
    "run": "run a network or a pipeline on a video, pictures or a camera",
    "map": "make a map of a drive: what the networks found, at its place in the world",
    "new": "write a pipeline for networks, from what their files say",
    "demo": "run four small road networks on a rendered drive, without any download",
    "inspect": "show inputs, outputs, operators and memory of a model",
    "convert": "convert an ONNX or TFLite file into MNN's format",
    "memory": "measure memory after each stage of a model's or a pipeline's life",
    "peaks": "show which operators hold the peak of a network's feature maps",
    "profile": "measure times of stages and operators",
    "compare": "find the first operator whose output deviates between two networks",
    "quantize": "quantise the networks of a pipeline, judged by what they find",
    "tune": "choose each network's options by measurement on this device",
    "dump": "write every operator's outputs into a file",
    "lock": "write hashes of a pipeline's networks into it",
    "info": "show versions, engine and CPU",
    "cache": "show or clear what is kept between runs",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # one line, not the usage as well
        self.exit(BAD_INPUT, f"mnnlite: error: {message} (see {self.prog} --help)\n")


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Of all commands, but only the chosen one's module is imported: all of them take longer than most commands."""
    parser = _Parser(
        prog="mnnlite",
        description=mnnlite.__doc__,
        epilog=f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}. "
        "MNNLITE_DEBUG=1 shows where an error came from.",
    )
    parser.add_argument("--version", action="version", version=f"mnnlite {mnnlite.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, says in COMMANDS.items():
        command = commands.add_parser(name, help=says)
        if name == chosen:
            importlib.import_module(f"mnnlite.cli.{name}").add(command)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Words after ``mnnlite``; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        The exit code, one of `mnnlite.cli.exit_codes`.
    """
    # Before the handlers: until a command's module is there, a signal ends the process at once.
    words = sys.argv[1:] if argv is None else argv
    parser = _parser(next((word for word in words if not word.startswith("-")), None))
    args = parser.parse_args(words)
    if "command" not in args:
        parser.print_help()
        return FINE
    with Interrupts() as interrupts:
        try:
            code = _main(args)
        except KeyboardInterrupt:
            code = INTERRUPTED
        interrupts.close()
    code = interrupts.exit_code or code
    if code in ENDED:
        with contextlib.suppress(OSError):  # nobody reads it any more
            print(f"mnnlite: {ENDED[code]}", file=sys.stderr)
    return code


def program() -> NoReturn:
    """Be the program ``mnnlite``: `main`, and an end that nothing interrupts."""
    _open_standard_streams()
    try:
        code: object = main()
    except SystemExit as ended:  # of argparse, after help, a version or bad words
        code = ended.code
    except BrokenPipeError:  # help, where standard output has no buffer
        code = FINE
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # a reader that is gone: nothing is left to be said at the interpreter's end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(code)


def _open_standard_streams() -> None:
    """Where the shell closed one, the next file that is opened would take its number, and get what is printed there."""
    for number in range(3):
        if not _is_open(number):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stderr is None:  # print would take standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  as long as the process


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _main(args: argparse.Namespace) -> int:
    with Output() as output:
        try:
            return int(args.command(args, output))
        except BrokenPipeError:  # whoever read our output has had enough
            return FINE
        except MnnliteError as error:
            return _failed(BAD_INPUT, "error", error)
        except Exception as error:
            return _failed(OWN_FAULT, "internal error", error)


def _failed(code: int, kind: str, error: Exception) -> int:
    if code == OWN_FAULT or os.environ.get("MNNLITE_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()
    text = str(error) or type(error).__name__
    print(f"mnnlite: {kind}: {printable(' '.join(text.split()))}", file=sys.stderr)
    return code
