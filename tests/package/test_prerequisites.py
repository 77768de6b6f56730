"""A machine without the prerequisites gets the README's one line, not a compiler's trace."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH with what every Debian has, and no compiler, cmake or Python."""
    for tool in ("dirname", "tr", "sed"):
        found = shutil.which(tool)
        assert found
        (tmp_path / tool).symlink_to(found)
    return tmp_path


def test_missing_parts__stop_with_the_apt_line(checkout: Path, bare: Path) -> None:
    script = checkout / "tools" / "prerequisites.sh"
    child = subprocess.run(["/bin/sh", str(script)], env={"PATH": str(bare)}, capture_output=True, text=True)
    assert child.returncode == 1
    first, line = child.stderr.splitlines()
    assert first == "missing: a C++ compiler, cmake, python3"
    assert line.startswith("apt install g++ ")
    assert f"$ {line}" in (checkout / "README.md").read_text().splitlines()
