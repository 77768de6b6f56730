"""The source distribution holds what a build needs, and nothing that lay about in the folder."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from helpers.child import skip_if_emulated

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def names(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    skip_if_emulated("nothing is built there")
    target = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--skip-dependency-check", "-o", str(target)]
    subprocess.run([*command, str(checkout)], check=True, capture_output=True)
    (path,) = target.glob("*.tar.gz")
    with tarfile.open(path) as file:
        return {name.split("/", 1)[1] for name in file.getnames() if "/" in name}


@pytest.mark.parametrize("folder", ["csrc", "cmake", "mnnlite", "third_party", "tests", "tools"])
def test_sdist__has_every_source(names: set[str], checkout: Path, folder: str) -> None:
    wanted = {
        str(path.relative_to(checkout))
        for path in (checkout / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".so", ".pyc"}
    }
    assert wanted - names == set()


def test_sdist__has_what_the_build_reads(names: set[str]) -> None:
    assert {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_sdist__has_no_products(names: set[str]) -> None:
    strays = [name for name in names if name.split("/")[0] in {"build", "dist", ".venv", ".ci", ".git"}]
    assert strays == []
    assert not [name for name in names if name.endswith((".so", ".o", ".pyc", ".whl"))]
