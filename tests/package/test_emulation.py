"""What is left out under emulation is said by a marker with a reason, and there is little of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

NAMES = ("not_emulated", "skip_if_emulated")
MOST = 24  # markers and fixtures, not test cases


def left_out(tests: Path) -> Iterator[tuple[str, str]]:
    """Give (where, reason) of each `not_emulated` marker and each `skip_if_emulated` of a fixture."""
    for path in sorted(tests.rglob("*.py")):
        text = path.read_text()
        if not any(name in text for name in NAMES):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in NAMES:
                    (reason,) = node.args
                    assert isinstance(reason, ast.Constant), f"{path.name}:{node.lineno} gives no reason"
                    yield f"{path.name}:{node.lineno}", reason.value


def test_few_tests_are_left_out__each_with_its_reason() -> None:
    found = list(left_out(Path(__file__).parents[1]))
    print(*(f"{where}: {reason}" for where, reason in found), sep="\n")
    assert found, "the search finds nothing: the marker has another name"
    assert len(found) <= MOST, found
    assert all(len(reason) > 15 for _, reason in found)


def test_nobody_else_asks_whether_this_is_emulation() -> None:
    users = [
        path.name
        for path in Path(__file__).parents[1].rglob("*.py")
        if "EMULATED" in path.read_text() and path != Path(__file__)
    ]
    assert sorted(users) == ["child.py", "conftest.py"]
