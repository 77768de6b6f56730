"""Code blocks of Markdown pages, and how each kind is run.

A page is read from top to bottom: its Python blocks share one namespace, its commands one folder, in which TOML and JSON
blocks whose first line names a file (``# road.toml``) are written. ``<!-- files: a b -->`` says which files of
`helpers.pages` the page takes for granted, ``<!-- not run: reason -->`` before a block why it is not run.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mnnlite import pipeline

from . import cli

SHOWN = ("text",)  # no code: trees of folders, pictures made of letters
DIRECTIVE = re.compile(r"\{[\w-]+\}")  # MyST's: Sphinx runs them


class Block(NamedTuple):
    line: int  # of its first line of code, from 1
    kind: str
    code: str
    reason: str  # why it is not run, or ""


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block of a page."""
    lines = text.splitlines()
    reason, start, fence, kind = "", 0, "", ""
    for number, line in enumerate(lines, 1):
        if fence:
            if line.strip() == fence:
                code = "\n".join(lines[start : number - 1]) + "\n"
                yield Block(start + 1, kind, code, reason)
                reason = fence = ""
        elif found := re.match(r"\s*(`{3,})\s*(\S*)", line):
            start, fence, kind = number, found[1], found[2]
        elif line.strip():
            marked = re.fullmatch(r"<!-- not run: (.+) -->", line.strip())
            reason = marked[1] if marked else ""
    assert not fence, f"the block of line {start} has no end"


def files(text: str) -> list[str]:
    """What the page takes for granted."""
    return [name for found in re.findall(r"<!-- files: (.+) -->", text) for name in found.split()]


def matches(wanted: str, got: str) -> bool:
    """Whether `got` is what the page shows; ``...`` stands for anything, on a line of its own for any lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else ".*".join(map(re.escape, line.rstrip().split("..."))) + r"[ ]*\n"
        for line in wanted.rstrip().splitlines()
    )
    return re.fullmatch(pattern, got.rstrip() + "\n") is not None


class Page:
    """A page that is being run, in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.namespace: dict[str, Any] = {"__name__": "__page__"}
        self.said = ""

    def run(self, block: Block) -> None:
        where = f"{self.name}:{block.line}"
        if block.kind == "python":
            self._python(block)
        elif block.kind == "output":
            assert matches(block.code, self.said), f"{where}: shows\n{block.code}\nbut it was\n{self.said}"
        elif block.kind == "toml":
            self._toml(block)
        elif block.kind == "json":
            json.loads(self._written(block))
        elif block.kind == "console":
            self._console(block, where)
        else:
            assert block.kind in SHOWN or DIRECTIVE.fullmatch(block.kind), (
                f"{where}: nothing runs a block of {block.kind!r}; mark it: <!-- not run: reason -->"
            )

    def _python(self, block: Block) -> None:
        code = compile("\n" * (block.line - 1) + block.code, self.name, "exec")
        printed = io.StringIO()
        with _inside(self.folder), contextlib.redirect_stdout(printed):
            exec(code, self.namespace)
        self.said = printed.getvalue()

    def _written(self, block: Block) -> str:
        if found := re.match(r"# (\S+\.\w+)\n", block.code):
            (self.folder / found[1]).write_text(block.code, encoding="utf-8")
        return block.code

    def _toml(self, block: Block) -> None:
        text = self._written(block)
        if "[[task]]" in text:
            (self.folder / "_checked.toml").write_text(text, encoding="utf-8")
            pipeline.load(self.folder / "_checked.toml")

    def _console(self, block: Block, where: str) -> None:
        """Lines that start with ``$ `` are commands; what follows is what they print, if anything is shown."""
        parts = re.split(r"^\$ ", block.code.replace("\\\n", ""), flags=re.M)
        assert not parts[0].strip(), f"{where}: a console block starts with '$ '"
        for part in parts[1:]:
            command, _, shown = part.partition("\n")
            code, said = self._done(command)
            found = shown.rstrip().endswith("[1]")  # a finding: the exit code is shown in brackets
            assert code == int(found), f"{where}: {command}: {code}\n{said}"
            shown = re.sub(r"\[1\]\s*$", "", shown)
            assert not shown.strip() or matches(shown, said), f"{where}: {command} shows\n{shown}\nbut it was\n{said}"

    def _done(self, command: str) -> tuple[int, str]:
        """The exit code and what was said."""
        env = {"PATH": self._path(), "PIP_NO_INDEX": "1"}
        if re.fullmatch(r"mnnlite [^|&;<>*?$`~()#\n]*", command.strip()):  # nothing for a shell to do
            ran = cli.mnnlite(*shlex.split(command)[1:], cwd=self.folder, env=env)
            return ran.code, ran.out + ran.err
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **env},
        )
        return done.returncode, done.stdout + done.stderr

    def _path(self) -> str:
        """With the `mnnlite` of this interpreter first."""
        tools = self.folder / ".bin"
        if not tools.exists():
            tools.mkdir()
            for name, start in (("mnnlite", '-m mnnlite "$@"'), ("python", '"$@"')):
                (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {start}\n')
                (tools / name).chmod(0o755)
        return f"{tools}{os.pathsep}{os.environ['PATH']}"


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """contextlib.chdir, which Python 3.10 does not have."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
