"""The direction of dependencies, in C++ and in Python: read from the sources, so that a shortcut fails by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

# Room -> rooms whose headers it may include. python -> task -> {image, decode, engine} -> core
ROOMS = {
    "core": set(),
    "image": {"core"},
    "decode": {"core"},
    "engine": {"core"},
    "task": {"core", "image", "decode", "engine"},
    "python": {"core", "image", "decode", "engine", "task"},
}
FOREIGN = {"<MNN/": "engine", "<pybind11/": "python", "<Python.h": "python"}

# A module may import modules of lower levels and of its own, without circles.
# cli -> demo -> mapping -> convert -> observe -> runtime -> {cost, task} -> conversion -> descriptions -> {model, decoders, results, frame} -> {specs, errors}
LEVELS = [
    {"errors", "lazy", "records", "_starting", "suggest"},
    {
        "specs",
        "engine_options",
        "proc",
        "files",
        "perfetto",
        "_toml",
        "_build",
        "_core",
        "_engine",
        "_image",
        "integrity",
        "children",
        "extras",
        "trial",
        "cache",
        "tuning_cache",
        "suggest",
    },
    {"draw", "reference"},
    {"arena", "model", "decoders", "results", "frame"},
    {"descriptions"},
    {"conversion"},
    {"alternatives", "task", "trial_child", "memory_probe", "cost", "memory_report", "video"},
    {"runtime"},
    {"observe", "pipeline"},
    {"convert", "convert_child", "quantize", "quantize_child", "tune", "tune_child"},
    {"mapping"},
    {"demo"},
    {"cli"},
    {"__main__", ""},  # "" is the package itself
]
LEVEL = {module: level for level, modules in enumerate(LEVELS) for module in modules}


def includes(room: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(each for each in room.rglob("*") if each.is_file()):
        for line in path.read_text().splitlines():
            if found := re.match(r'\s*#\s*include\s+(["<][^">]+)', line):
                yield path, found[1]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms__include_only_what_lies_below(room: str, checkout: Path) -> None:
    for path, included in includes(checkout / "csrc" / room):
        for prefix, home in FOREIGN.items():
            assert not included.startswith(prefix) or room == home, f"{path}: {included} belongs to {home}"
        if included.startswith('"') and "/" in included:
            other = included[1:].split("/")[0]
            assert other in {room, "mnnlite", *ROOMS[room]}, f"{path}: {included} is not below {room}"


def test_decode__common_knows_no_family(checkout: Path) -> None:
    for path, included in includes(checkout / "csrc" / "decode" / "common"):
        assert not re.match(r'"decode/(heads|maps|text)/', included), f"{path}: {included} is of a family"


def test_rooms__are_all_known(checkout: Path) -> None:
    assert {path.name for path in (checkout / "csrc").iterdir()} == {*ROOMS, "include"}


def test_decoder_header__stands_alone(checkout: Path) -> None:
    header = checkout / "csrc" / "include" / "mnnlite" / "decoder.h"
    found = re.findall(r"#\s*include\s+(\S+)", header.read_text())
    assert set(found) <= {"<stddef.h>", "<stdint.h>", "<stdbool.h>"}


def room_of(dotted: str) -> str:
    """'mnnlite.cli.run' -> 'cli'; '' is the package itself."""
    return ([*dotted.split("."), ""])[1]


def sources(checkout: Path) -> dict[str, Path]:
    """Every file of the package by the name it is imported under."""
    found = {}
    for path in sorted((checkout / "mnnlite").rglob("*.py")):
        parts = path.relative_to(checkout).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def import_statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))]


def imports(path: Path, files: Collection[str]) -> Iterator[tuple[str, int]]:
    """Give each import of mnnlite with its line: those inside functions and those for the type checker alone, too."""
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{path}:{node.lineno}: imports are written in full"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in files or node.module == "mnnlite" else str(node.module) for name in inner]
        yield from ((name, node.lineno) for name in names if name == "mnnlite" or name.startswith("mnnlite."))


def test_python__imports_point_downwards(checkout: Path) -> None:
    files = sources(checkout)
    for name, path in files.items():
        room = room_of(name)
        if room in {"", "reference"}:
            continue
        for target, line in imports(path, files):
            other, where = room_of(target), f"{path.relative_to(checkout)}:{line}"
            if other == room:
                continue
            if other == "":
                # The public face: whoever stands above everything may use it.
                assert room in {"cli", "__main__"}, f"{where}: {room} imports the package it is part of"
                continue
            assert room in LEVEL, f"{room} has no level yet: add it to LEVELS"
            assert other in LEVEL, f"{where}: {other} has no level yet: add it to LEVELS"
            assert LEVEL[other] <= LEVEL[room], f"{where}: {room} must not import {other}"


def test_python__files_import_each_other_without_circles(checkout: Path) -> None:
    """File by file, whether the import is at the top, inside a function or for the type checker alone."""
    files = sources(checkout)
    graph = {name: {target for target, _ in imports(path, files)} & files.keys() for name, path in files.items()}
    while graph:
        leaves = {name for name, targets in graph.items() if not targets & graph.keys()}
        assert leaves, f"these files, or some of them, import each other in a circle: {_in_circles(graph)}"
        for name in leaves:
            del graph[name]


def _in_circles(graph: dict[str, set[str]]) -> list[str]:
    """Files that are reached from themselves."""

    def reached(name: str) -> set[str]:
        found: set[str] = set()
        ahead = [name]
        while ahead:
            new = graph.get(ahead.pop(), set()) - found
            found |= new
            ahead += new
        return found

    return sorted(name for name in graph if name in reached(name))


def test_demo__is_imported_by_the_command_line_alone(checkout: Path) -> None:
    files = sources(checkout)
    for name, path in files.items():
        if room_of(name) not in {"demo", "cli"}:
            assert not [target for target, _ in imports(path, files) if room_of(target) == "demo"], path
            assert "mnnlite.demo" not in path.read_text(), f"{path}: only the command line knows the demo"


def test_reference__never_imports_the_extension(checkout: Path) -> None:
    files = sources(checkout)
    for name, path in files.items():
        if room_of(name) == "reference":
            targets = {room_of(target) for target, _ in imports(path, files)}
            assert targets <= {"reference", "errors", "specs"}, f"{path}: {targets}"


def test_runtime__files_have_at_most_400_lines(checkout: Path) -> None:
    lengths = {
        path.name: len(path.read_text().splitlines()) for path in (checkout / "mnnlite" / "runtime").glob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}
