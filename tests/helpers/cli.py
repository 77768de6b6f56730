"""The command line in a child process, as people and scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from . import forked
from .child import LONGEST, without_emulator

# Of all commands, as CI does once: a new interpreter for each.
START = os.environ.get("MNNLITE_TESTS_START", "0") != "0"


class Ran:
    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), without_emulator(err.decode())

    @property
    def lines(self) -> list[Any]:
        """Standard output, which must be nothing but JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def error(self) -> str:
        """The one line of an error, after checking that it is one."""
        lines = self.err.splitlines()
        assert self.code == 2, (self.code, self.err)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("mnnlite: error: "), self.err
        return lines[0]


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "mnnlite", *map(str, args)]


def mnnlite(
    *args: object,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    cwd: object = None,
    start: bool = START,
    **options: Any,
) -> Ran:
    """Run a command. `start`: in a new interpreter and not a forked one, for what looks at the process itself."""
    whole = {**os.environ, **(env or {})}
    if not (start or options) and forked.read_at_start(whole) == forked.server().env:
        return Ran(*forked.server().run(command(*args)[3:], stdin, str(cwd or os.getcwd()), whole, LONGEST))
    done = subprocess.run(
        command(*args), input=stdin, capture_output=True, timeout=LONGEST, env=whole, cwd=cwd, **options
    )
    return Ran(done.returncode, done.stdout, done.stderr)
