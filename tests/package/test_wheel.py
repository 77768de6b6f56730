"""What is in the wheel, and what is not."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

import mnnlite
from mnnlite import _build, _core


@pytest.fixture(scope="module")
def wheel() -> Path:
    if "MNNLITE_WHEEL" not in os.environ:
        pytest.skip("MNNLITE_WHEEL names no wheel; `make py` sets it")
    return Path(os.environ["MNNLITE_WHEEL"])


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


@pytest.fixture(scope="module")
def extension() -> Path:
    return Path(str(_core.__file__))


def nm(path: Path, *flags: str) -> list[tuple[str, str]]:
    """Give (type letter, name) of each symbol."""
    text = subprocess.run(["nm", *flags, str(path)], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.endswith(":")]
    return [(row[-2], row[-1].split("@")[0]) for row in rows]


def test_wheel__is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 3_000_000  # networks included


@pytest.mark.parametrize(
    "name",
    ["include/mnnlite/decoder.h", "py.typed", "_core.pyi", "_build.py", "__init__.py", "demo/assets/road_objects.mnn"],
)
def test_wheel__has(names: list[str], name: str) -> None:
    assert f"mnnlite/{name}" in names


def test_wheel__has_the_licences(names: list[str]) -> None:
    licences = [name for name in names if ".dist-info/licenses/" in name]
    assert any(name.endswith("/LICENSE") for name in licences)
    assert any(name.endswith("third_party/mnn/README.md") for name in licences)


def test_wheel__has_one_extension_and_no_engine(names: list[str]) -> None:
    libraries = [name for name in names if re.search(r"\.(so|dll|dylib|a)(\.|$)", name)]
    assert len(libraries) == 1
    assert libraries[0].startswith("mnnlite/_core.")


def test_wheel__has_nothing_else(names: list[str]) -> None:
    strays = [name for name in names if not re.match(r"mnnlite/|mnnlite-[^/]*\.dist-info/", name)]
    assert strays == []
    assert not [name for name in names if name.endswith((".pyc", ".cpp", ".hpp", ".onnx"))]


def test_wheel__has_networks_only_in_assets(names: list[str]) -> None:
    assert [name for name in names if name.endswith(".mnn") and not name.startswith("mnnlite/demo/assets/")] == []


def test_extension__shows_one_symbol(extension: Path) -> None:
    assert [name for _, name in nm(extension, "-D", "--defined-only")] == ["PyInit__core"]


def test_extension__is_not_linked_to_the_python_library_or_a_path(extension: Path) -> None:
    dynamic = subprocess.run(["readelf", "-d", str(extension)], check=True, capture_output=True, text=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    allowed = r"lib(stdc\+\+|m|gcc_s|c|pthread|dl|rt)\.so\.\d+|ld-linux.*"
    assert [name for name in needed if not re.fullmatch(allowed, name)] == []
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic


def test_extension__leaves_what_the_build_recorded_to_the_engine(extension: Path) -> None:
    undefined = {name for _, name in nm(extension, "-D", "--undefined-only")}
    assert {name for name in undefined if re.match(r"_Z(T[VIS])?N?K?3MNN", name)} == set(_build.SYMBOLS)


def test_isa_objects__have_no_symbols_that_the_linker_may_merge(checkout: Path) -> None:
    """A template instance compiled for AVX2 must not replace the one that every CPU runs."""
    objects = [
        path
        for path in (checkout / "build" / "dev").rglob("*.o")
        if re.search(r"(sse|avx|neon|f16c|dotprod|i8mm)", path.name)
    ]
    if not objects:
        pytest.skip("no object file of a kernel for one instruction set in build/dev")
    for path in objects:
        # DW.ref.* is a pointer to the exception personality, the same data in every object: no code.
        merged = [name for kind, name in nm(path, "--defined-only") if kind in "WVu" and not name.startswith("DW.ref.")]
        assert merged == [], f"{path.name} has weak symbols"


def test_versions__agree(checkout: Path) -> None:
    version = mnnlite.__version__
    assert version == _core.__version__ == importlib.metadata.version("mnnlite")
    assert f'\nversion = "{version}"\n' in (checkout / "pyproject.toml").read_text()
    # The newest heading is this version's, or of what comes after it: nothing older was cut and then counted down.
    headings = re.findall(r"^## \[([^]]+)\]", (checkout / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased" or headings[0] == version
    assert len(headings) < 2 or headings[0] != "Unreleased" or headings[1] == version


def test_readme__names_the_prerequisites(checkout: Path) -> None:
    packages = " ".join((checkout / "tools" / "apt.txt").read_text().split())
    assert f"apt install {packages}\n" in (checkout / "README.md").read_text()


def test_installation__says_where_the_header_lies() -> None:
    header = Path(str(mnnlite.__file__)).parent / "include" / "mnnlite" / "decoder.h"
    assert header.is_file()
