"""The direction of dependencies, in C++ and in Python: read from the sources, so that a shortcut fails by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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
# cli -> demo -> mapping -> observe -> runtime -> {cost, task} -> descriptions -> {model, decoders, results, frame} -> {specs, errors}
LEVELS = [
    {"errors"},
    {"specs", "proc", "files", "perfetto", "_toml", "_build", "_core", "_engine", "_image", "integrity"},
    {"draw", "reference"},
    {"model", "decoders", "results", "frame"},
    {"descriptions"},
    {"task", "memory_probe", "cost", "memory_report", "video", "convert"},
    {"runtime"},
    {"observe", "pipeline"},
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


def module_of(dotted: str) -> str:
    """'mnnlite.cli.run' -> 'cli'."""
    return ([*dotted.split("."), ""])[1]


def imports(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Give each import of mnnlite: (module, inside a function, line). What only the type checker sees is left out."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: imports are written in full"
                if child.module == "mnnlite":
                    yield from ((f"mnnlite.{alias.name}", inside, child.lineno) for alias in child.names)
                else:
                    yield child.module or "", inside, child.lineno
            yield from walk(child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    for name, inside, line in walk(ast.parse(path.read_text()), False):
        if name == "mnnlite" or name.startswith("mnnlite."):
            yield module_of(name), inside, line


def sources(checkout: Path) -> list[tuple[str, Path]]:
    package = checkout / "mnnlite"
    result = []
    for path in sorted(package.rglob("*.py")):
        first = path.relative_to(package).parts[0]
        result.append(("" if first == "__init__.py" else first.removesuffix(".py"), path))
    return result


def test_python__imports_point_downwards(checkout: Path) -> None:
    for module, path in sources(checkout):
        if module == "reference":
            continue
        for target, _, line in imports(path):
            if target == module:
                continue
            where = f"{path.relative_to(checkout)}:{line}"
            if target == "":
                # The public face: whoever stands above everything may use it.
                assert module in {"cli", "__main__"}, f"{where}: {module} imports the package it is part of"
                continue
            assert module in LEVEL, f"{module} has no level yet: add it to LEVELS"
            assert target in LEVEL, f"{where}: {target} has no level yet: add it to LEVELS"
            assert LEVEL[target] <= LEVEL[module], f"{where}: {module} must not import {target}"


def test_python__no_circles(checkout: Path) -> None:
    graph: dict[str, set[str]] = {}
    for module, path in sources(checkout):
        if module:
            graph.setdefault(module, set()).update(
                target for target, inside, _ in imports(path) if not inside and target not in {"", module}
            )
    while graph:
        leaves = {module for module, targets in graph.items() if not targets & graph.keys()}
        assert leaves, f"modules import each other in a circle: {sorted(graph)}"
        for module in leaves:
            del graph[module]


def test_demo__is_imported_by_the_command_line_alone(checkout: Path) -> None:
    for module, path in sources(checkout):
        if module not in {"demo", "cli"}:
            assert "mnnlite.demo" not in path.read_text(), f"{path}: only the command line knows the demo"


def test_reference__never_imports_the_extension(checkout: Path) -> None:
    for module, path in sources(checkout):
        if module == "reference":
            targets = {target for target, _, _ in imports(path)}
            assert targets <= {"reference", "errors", "specs"}, f"{path}: {targets}"
